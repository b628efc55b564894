//! What is pushed: the same numbers as a scrape reads, the fleet's from one worker at a time, and no mail or stop that waits
//! for a collector.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use opentelemetry::time;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    metrics::v1::{Metric, NumberDataPoint, ResourceMetrics, metric::Data, number_data_point::Value},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use warmup_support::{
    process::{Binary, Running},
    smtp::{FaultyHost, Script},
    world::{TestDatabase, TestRedis, enrolled_long_ago, eventually, postgres, redis},
};

use super::{
    PATIENCE,
    collector::{Collector, text},
};

/// As a scrape names what a worker tells of the fleet.
const OF_THE_FLEET: &str = "warmup_total_mailboxes";

/// How long a worker may take to stop, whose collector does not answer: far less than it would be asked without an end.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// Everything that a few mailboxes need to send something at once.
struct World {
    database: TestDatabase,
    redis: TestRedis,
    host: FaultyHost,
}

impl World {
    async fn start() -> World {
        World { database: postgres().await, redis: redis().await, host: FaultyHost::start(Script::usual()).await }
    }

    /// A worker that pushes five times a second.
    fn worker(&self, name: &str, endpoint: &str) -> Binary {
        Binary::new(env!("CARGO_BIN_EXE_warmup"), self.database.url(), &self.redis.url())
            .with("WARMUP_HTTP_ADDR", "127.0.0.1:0")
            .with("WARMUP_LOG_FORMAT", "json")
            .with("WARMUP_WORKER_ID", name)
            .with("WARMUP_DISTRIBUTED_MODE", true)
            .with("WARMUP_LEASE_TTL_MS", 6000)
            .with("WARMUP_HEARTBEAT_MS", 2000)
            .with("WARMUP_STAGGER_MIN_MS", 0)
            .with("WARMUP_STAGGER_MAX_MS", 0)
            .with("WARMUP_CRON_SPREAD_MINUTES", 0)
            // A user's hour fills by one place in 7 s, and no test is about that.
            .with("WARMUP_USER_HOURLY_LIMIT", 1_000_000)
            .with("WARMUP_USER_MINUTE_LIMIT", 100_000)
            .with("WARMUP_GLOBAL_HOURLY_LIMIT", 1_000_000)
            .with("WARMUP_GLOBAL_MINUTE_LIMIT", 100_000)
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .with("OTEL_METRIC_EXPORT_INTERVAL", 200)
            .with("OTEL_TRACES_EXPORTER", "none")
    }

    /// Mailboxes whose window is open whatever the time.
    async fn enrol(&self, by: &Binary) {
        let mut csv = "email,password,smtp_host,smtp_port,smtp_security,window,ramp_start\n".to_owned();
        for n in 0..6 {
            csv += &format!("box{n}@pushed.test,secret,127.0.0.1,{},none,00:00-24:00,30\n", self.host.port());
        }
        by.command(&["migrate"], "").await;
        by.command(&["mailbox", "import", "-"], &csv).await;
        enrolled_long_ago(self.database.url()).await;
    }

    async fn rows(&self) -> f64 {
        let rows = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM logs WHERE status IN ('SENT', 'REPLIED')");
        rows.fetch_one(self.database.pool()).await.unwrap() as f64
    }
}

/// Every sample of a scrape, by its name and labels.
type Numbers = BTreeMap<String, f64>;

async fn scrape(address: &str) -> Numbers {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let samples = body.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    samples.map(|(series, value)| (sorted(series), value.parse().unwrap())).collect()
}

/// A series with its labels in order, and the bounds of buckets as Rust writes them.
fn sorted(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once("=\""));
    let labels = labels.map(|(key, word)| (key, word.trim_end_matches('"'))).map(|(key, word)| match key {
        "le" => (key.to_owned(), format!("{:?}", word.parse::<f64>().unwrap())),
        _ => (key.to_owned(), word.to_owned()),
    });
    series_of(name, labels.collect())
}

fn series_of(name: &str, labels: BTreeMap<String, String>) -> String {
    format!("{name}{labels:?}")
}

/// What was pushed, as a scrape would tell it.
fn numbers(push: &ResourceMetrics) -> Numbers {
    metrics(push).flat_map(samples).collect()
}

fn metrics(push: &ResourceMetrics) -> impl Iterator<Item = &Metric> {
    push.scope_metrics.iter().flat_map(|scope| &scope.metrics)
}

fn labels(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|label| (label.key.clone(), text(attributes, &label.key).unwrap())).collect()
}

fn samples(metric: &Metric) -> Vec<(String, f64)> {
    let name = &metric.name;
    let number = |point: &NumberDataPoint| match point.value {
        Some(Value::AsInt(number)) => Some(number as f64),
        Some(Value::AsDouble(number)) => Some(number),
        None => None,
    };
    let plain = |points: &[NumberDataPoint]| -> Vec<(String, f64)> {
        let told = points.iter().filter_map(|point| Some((series_of(name, labels(&point.attributes)), number(point)?)));
        told.collect()
    };
    match metric.data.as_ref().unwrap() {
        Data::Gauge(gauge) => plain(&gauge.data_points),
        Data::Sum(sum) => plain(&sum.data_points),
        Data::Histogram(histogram) => {
            let mut found = Vec::new();
            for point in &histogram.data_points {
                let labels = labels(&point.attributes);
                found.push((series_of(&format!("{name}_sum"), labels.clone()), point.sum.unwrap()));
                found.push((series_of(&format!("{name}_count"), labels.clone()), point.count as f64));
                let mut below = 0;
                for (place, count) in point.bucket_counts.iter().enumerate() {
                    below += count;
                    let bound = point.explicit_bounds.get(place).unwrap_or(&f64::INFINITY);
                    let with_bound = labels.clone().into_iter().chain([("le".to_owned(), format!("{bound:?}"))]);
                    found.push((series_of(&format!("{name}_bucket"), with_bound.collect()), below as f64));
                }
            }
            found
        }
        other => panic!("{other:?}"),
    }
}

/// When a push was made, and since when it counts, by its first total.
fn times(push: &ResourceMetrics) -> (u64, u64) {
    let total = metrics(push).find_map(|metric| match metric.data.as_ref()? {
        Data::Sum(sum) => sum.data_points.first(),
        _ => None,
    });
    total.map_or((0, 0), |point| (point.start_time_unix_nano, point.time_unix_nano))
}

fn nanos(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// Who pushed it.
fn instance(push: &ResourceMetrics) -> String {
    text(&push.resource.as_ref().unwrap().attributes, "service.instance.id").unwrap()
}

fn of(numbers: &Numbers, start: &str) -> f64 {
    numbers.iter().filter(|(series, _)| series.starts_with(start)).map(|(_, number)| number).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_is_what_a_scrape_reads() {
    let (world, collector) = (World::start().await, Collector::start().await);
    let binary = world
        .worker("one", &format!("http://{}", collector.grpc))
        .with("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .with("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .with("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    world.enrol(&binary).await;
    let mut worker = binary.run();
    let address = worker.address().await;
    eventually(PATIENCE, async || of(&scrape(&address).await, "warmup_mails_ended_total") >= 6.0).await;

    // Between two scrapes that say the same, everything that is pushed says it too.
    eventually(PATIENCE, async || {
        let before = scrape(&address).await;
        let since = nanos(time::now());
        let pushed = || collector.taken.pushes().into_iter().find(|push| times(push).1 > since);
        eventually(PATIENCE, async || pushed().is_some()).await;
        let pushed = numbers(&pushed().unwrap());
        let quiet = before == scrape(&address).await && before.keys().any(|series| series.starts_with(OF_THE_FLEET));
        if quiet {
            assert_eq!(pushed, before);
        }
        quiet
    })
    .await;

    worker.terminate().await;
    assert!(worker.ended(PATIENCE).await.success(), "{}", worker.log());
    let rows = world.rows().await;
    let last = || numbers(collector.taken.pushes().last().unwrap());
    // The last push is made when all is settled.
    let sent = |numbers: &Numbers| of(numbers, "warmup_delivery_seconds_count{\"outcome\": \"sent\"");
    eventually(PATIENCE, async || sent(&last()) == rows).await;
    assert!(rows >= 6.0);
    let pushes = collector.taken.pushes();
    let starts: BTreeSet<u64> = pushes.iter().map(|push| times(push).0).filter(|start| *start > 0).collect();
    assert_eq!(starts.len(), 1, "one process counts since one moment");
    let resource = &pushes[0].resource.as_ref().unwrap().attributes;
    let [name, kind] = ["service.name", "deployment.environment.name"].map(|key| text(resource, key).unwrap());
    assert_eq!((name.as_str(), kind.as_str()), ("warmup", "test"));
}

/// Whether a push tells of the fleet.
fn tells_of_the_fleet(push: &ResourceMetrics) -> bool {
    numbers(push).keys().any(|series| series.starts_with(OF_THE_FLEET))
}

/// Whether it says that it does not any more.
fn takes_it_back(push: &ResourceMetrics) -> bool {
    metrics(push).any(|metric| match &metric.data {
        Some(Data::Gauge(gauge)) => metric.name == OF_THE_FLEET && gauge.data_points[0].flags == 1,
        _ => false,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_is_told_by_one_worker_and_by_another_when_that_is_gone() {
    let (world, collector) = (World::start().await, Collector::start().await);
    let endpoint = format!("http://{}", collector.http);
    let binaries = ["one", "two"].map(|name| world.worker(name, &endpoint));
    world.enrol(&binaries[0]).await;
    let mut workers: BTreeMap<&str, Running> = BTreeMap::from([("one", binaries[0].run()), ("two", binaries[1].run())]);
    let tellers = || -> BTreeSet<String> {
        collector.taken.pushes().iter().filter(|push| tells_of_the_fleet(push)).map(instance).collect()
    };
    let pushers = || collector.taken.pushes().iter().map(instance).collect::<BTreeSet<String>>().len();
    eventually(PATIENCE, async || pushers() == 2 && tellers().len() == 1).await;
    let leader = tellers().pop_first().unwrap();
    let seen = collector.taken.pushes().len();
    eventually(PATIENCE, async || collector.taken.pushes().len() > seen + 10).await;
    assert_eq!(tellers(), BTreeSet::from([leader.clone()]));

    let mut old = workers.remove(leader.as_str()).unwrap();
    old.terminate().await;
    assert!(old.ended(PATIENCE).await.success(), "{}", old.log());

    eventually(PATIENCE, async || tellers().len() == 2).await;
    let by_old = |push: &ResourceMetrics| instance(push) == leader && takes_it_back(push);
    eventually(PATIENCE, async || collector.taken.pushes().iter().any(by_old)).await;
    for (_, mut worker) in workers {
        worker.terminate().await;
        assert!(worker.ended(PATIENCE).await.success(), "{}", worker.log());
    }
}

/// Takes connections and says nothing. Returns where, and how many it took.
async fn silence() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
            counted.store(held.len(), Ordering::Relaxed);
        }
    });
    (endpoint, count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_says_nothing_is_told_of_once_and_holds_up_neither_mails_nor_the_stop() {
    let world = World::start().await;
    let (endpoint, asked) = silence().await;
    let binary = world.worker("one", &endpoint).with("OTEL_EXPORTER_OTLP_TIMEOUT", 300);
    world.enrol(&binary).await;
    let mut worker = binary.run();

    eventually(PATIENCE, async || world.rows().await >= 6.0 && asked.load(Ordering::Relaxed) >= 3).await;
    worker.terminate().await;

    assert!(worker.ended(STOPPED_WITHIN).await.success(), "{}", worker.log());
    let log = worker.log();
    assert_eq!(log.matches("metrics can't be exported").count(), 1, "{log}");
}
