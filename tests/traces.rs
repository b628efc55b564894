//! What a real collector receives of a day: traces here, metrics in `traces/metrics.rs`. It is no part of `cargo test`, because it needs one; `make test-all` installs
//! it and runs this.

#![cfg(test)]

#[path = "traces/collector.rs"]
mod collector;
#[path = "traces/metrics.rs"]
mod metrics;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Output, Stdio},
    time::Duration,
};

use collector::{Collector, text};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};
use warmup_support::{
    process::Binary,
    world::{eventually, postgres, redis},
};

/// Far longer than a day of the demo takes.
const PATIENCE: Duration = Duration::from_secs(240);

/// Begins a day of 16 mailboxes in about a minute: few, so that a busy machine keeps up with a clock that runs so fast.
fn demo(args: &[&str], vars: &[(&str, &str)]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
    command.args(["demo", "--mailboxes", "16"]).args(args).envs(vars.iter().copied()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for its end, which is good only if its sums hold.
async fn proven(demo: Child) -> String {
    let ended = tokio::time::timeout(PATIENCE, demo.wait_with_output()).await.expect("a day ends");
    let Output { status, stdout, stderr } = ended.unwrap();
    let said = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(status.success() && said.contains("the proof holds"), "{said}");
    said
}

/// The SENT and REPLIED rows of its ledger.
fn counts(said: &str) -> (usize, usize) {
    let line = said.lines().find(|line| line.contains("accepted = SENT + REPLIED")).unwrap();
    let sum: Vec<&str> = line.rsplit_once(" = ").unwrap().1.split(" + ").collect();
    (sum[0].parse().unwrap(), sum[1].parse().unwrap())
}

/// Spans by their ids.
struct Day(BTreeMap<(Vec<u8>, Vec<u8>), Span>);

impl Day {
    fn of(spans: Vec<Span>) -> Day {
        Day(spans.into_iter().map(|span| ((span.trace_id.clone(), span.span_id.clone()), span)).collect())
    }

    fn named(&self, name: &str) -> Vec<&Span> {
        self.0.values().filter(|span| span.name == name).collect()
    }

    fn parent(&self, span: &Span) -> Option<&Span> {
        self.0.get(&(span.trace_id.clone(), span.parent_span_id.clone()))
    }

    fn steps(&self, of: &Span) -> BTreeSet<&str> {
        let belongs = |span: &&Span| span.trace_id == of.trace_id && span.parent_span_id == of.span_id;
        self.0.values().filter(belongs).map(|span| span.name.as_str()).collect()
    }
}

const STEPS: [&str; 13] = [
    "auth", "caps", "connect", "data", "dot", "ehlo", "greeting", "mail", "rcpt", "reserve", "settle", "starttls",
    "tls",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_of_a_whole_day_is_whole_over_grpc() {
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.grpc);
    let said = proven(demo(
        &[],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_SAMPLER", "always_on"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "65536"),
        ],
    ))
    .await;
    let (sent, replied) = counts(&said);
    eventually(PATIENCE, async || {
        let day = Day::of(collector.taken.spans());
        day.named("warmup.send").len() == sent && day.named("warmup.reply").len() == replied
    })
    .await;

    let day = Day::of(collector.taken.spans());
    for mail in day.named("warmup.send").into_iter().chain(day.named("warmup.reply")) {
        let batch = day.parent(mail).expect("a mail belongs to a batch");
        assert_eq!(batch.name, "warmup.batch");
        assert_eq!(day.parent(batch).expect("a batch belongs to a tick").name, "warmup.tick");
        assert_eq!(text(&mail.attributes, "warmup.outcome").as_deref(), Some("sent"));
        assert_eq!(text(&mail.attributes, "smtp.response.code").as_deref(), Some("250"));
        assert!(mail.start_time_unix_nano < mail.end_time_unix_nano);
    }
    let mail = day.named("warmup.send")[0];
    assert_eq!(day.steps(mail), BTreeSet::from(STEPS));
    for reply in day.named("warmup.reply") {
        let [link] = &reply.links[..] else { panic!("{:?}", reply.links) };
        let answered = day.0.get(&(link.trace_id.clone(), link.span_id.clone())).expect("the mail that is answered");
        assert_eq!(answered.name, "warmup.send");
    }
    let resource = &collector.taken.resources()[0];
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("warmup"));
    println!("{sent} mails and {replied} replies in {} spans", day.0.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_dies_at_noon_costs_no_mail_and_no_sum() {
    let mut collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.http);
    let vars = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
    ];
    let day = demo(&[], &vars);
    eventually(PATIENCE, async || collector.taken.spans().iter().any(|span| span.name == "warmup.reply")).await;
    eventually(PATIENCE, async || !collector.taken.pushes().is_empty()).await;

    collector.kill().await;

    let (sent, _) = counts(&proven(day).await);
    let told = Day::of(collector.taken.spans()).named("warmup.send").len();
    assert!(0 < told && told < sent, "{told} of {sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_kept_and_little_of_the_rest() {
    let collector = Collector::start().await;
    let endpoint = format!("http://{}", collector.http);
    let said = proven(demo(&["--faults"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)])).await;
    let (sent, replied) = counts(&said);
    // Of the line `21:00  sent  1387/1440  served  48/48  failed 72  uncertain 53  behind: nobody`, the last of the day.
    let last = said.lines().rfind(|line| line.contains("  uncertain ")).unwrap();
    let number = |word: &str| -> usize {
        let mut words = last.split_whitespace();
        words.find(|said| *said == word);
        words.next().unwrap().parse().unwrap()
    };
    let with = |span: &Span, outcomes: &[&str]| {
        let outcome = text(&span.attributes, "warmup.outcome");
        outcome.is_some_and(|outcome| outcomes.contains(&outcome.as_str()))
    };
    let lost = number("failed") + number("uncertain");
    let told = || collector.taken.spans().iter().filter(|span| with(span, &["refused", "uncertain"])).count();
    eventually(PATIENCE, async || told() >= lost).await;

    assert_eq!(told(), lost);
    assert!(lost > 0);
    let spans = collector.taken.spans();
    let well = spans.iter().filter(|span| with(span, &["sent"])).count();
    assert!(well < (sent + replied) / 20, "{well} of {}", sent + replied);
    for failed in spans.iter().filter(|span| with(span, &["refused", "uncertain"])) {
        assert_eq!(failed.status.as_ref().map(|status| status.code), Some(2), "{failed:?}");
        assert!(text(&failed.attributes, "warmup.failure.class").is_some(), "{failed:?}");
    }
}

/// Asks for something within a trace, and returns when it is answered.
async fn ask(address: &str, traceparent: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /api/warmup/control HTTP/1.1\r\nHost: {address}\r\ntraceparent: {traceparent}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

/// The lines of a log whose message is `message`.
fn lines(log: &str, message: &str) -> Vec<serde_json::Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter(|line| line["fields"]["message"].as_str().is_some_and(|said| said.starts_with(message))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_in_their_callers_trace_and_the_log_names_the_ticks() {
    let (database, redis, collector) = (postgres().await, redis().await, Collector::start().await);
    let binary = Binary::new(env!("CARGO_BIN_EXE_warmup"), database.url(), &redis.url())
        .with("WARMUP_HTTP_ADDR", "127.0.0.1:0")
        .with("WARMUP_LOG_FORMAT", "json")
        .with("WARMUP_WORKER_ID", "one")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.http))
        .with("OTEL_BSP_SCHEDULE_DELAY", 100);
    binary.command(&["migrate"], "").await;
    let mut worker = binary.run();
    eventually(PATIENCE, async || !lines(&worker.log(), "tick").is_empty()).await;
    let address = lines(&worker.log(), "the API")[0]["fields"]["address"].as_str().unwrap().to_owned();

    ask(&address, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").await;

    let asked = |span: &Span| span.name == "GET /api/warmup/control";
    eventually(PATIENCE, async || collector.taken.spans().iter().any(asked)).await;
    let request = collector.taken.spans().into_iter().find(asked).unwrap();
    assert_eq!(hex(&request.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&request.parent_span_id), "b7ad6b7169203331");
    assert_eq!(text(&request.attributes, "http.response.status_code").as_deref(), Some("401"));
    let logged = lines(&worker.log(), "tick")[0]["trace_id"].as_str().unwrap().to_owned();
    let tick = |span: &Span| span.name == "warmup.tick" && hex(&span.trace_id) == logged;
    eventually(PATIENCE, async || collector.taken.spans().iter().any(tick)).await;
    let resource = &collector.taken.resources()[0];
    assert_eq!(text(&resource.attributes, "service.instance.id").as_deref(), Some("one"));
    worker.terminate().await;
    assert!(worker.ended(PATIENCE).await.success(), "{}", worker.log());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
