//! `warmup bench send`: it sends what it was asked, what it counts is so, and nobody's mailboxes are touched by it.

use serde_json::Value;
use warmup_support::{
    process::Binary,
    smtp::postfix::SmtpSink,
    world::{postgres, redis},
};

const BINARY: &str = env!("CARGO_BIN_EXE_warmup");
const SENDS: u64 = 120;

async fn bench(binary: &Binary, sink: &SmtpSink, more: &[&str]) -> Value {
    let (smtp, sends) = (format!("127.0.0.1:{}", sink.port()), SENDS.to_string());
    let asked = ["bench", "send", "--json", "--smtp", &smtp, "--security", "none", "--sends", &sends];
    let told = binary.command(&[&asked, more].concat(), "").await;
    serde_json::from_str(&told).unwrap()
}

/// The number of calls of the statement that begins so.
fn calls(told: &Value, statement: &str) -> u64 {
    let of = told["statements"]["of"].as_array().unwrap();
    let found = of.iter().find(|one| one["text"].as_str().unwrap().starts_with(statement));
    found.map_or(0, |one| one["calls"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_servers_of_its_own_it_counts_what_the_servers_and_the_mail_host_count() {
    let sink = SmtpSink::start().await;
    let binary = Binary::new(BINARY, "", "");

    let told = bench(&binary, &sink, &["--concurrency", "10", "--batch", "5", "--no-fsync"]).await;

    assert_eq!(sink.taken(), SENDS);
    assert_eq!((&told["sent"], &told["failed"]), (&Value::from(SENDS), &Value::from(0)));
    assert_eq!(told["disagreements"], Value::Array(vec![]));
    let batches = told["batches"].as_u64().unwrap();
    assert!(batches >= SENDS / 5, "{told:#}");
    assert_eq!(calls(&told, "WITH asks"), batches, "{told:#}");
    assert!(told["evalshas"]["calls"].as_u64().unwrap() >= batches, "{told:#}");
    let steps = told["steps"].as_array().unwrap();
    let count =
        |step: &str| steps.iter().find(|one| one["step"] == step).map_or(0, |one| one["count"].as_u64().unwrap());
    assert_eq!((count("reserve"), count("caps")), (batches, batches));
    for step in ["connect", "greeting", "ehlo", "mail", "rcpt", "data", "dot", "whole"] {
        assert_eq!(count(step), SENDS, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_why_mails_were_not_sent() {
    // Bound and not listening: nobody else can take the port meanwhile.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let smtp = closed.local_addr().unwrap().to_string();
    let binary = Binary::new(BINARY, "", "");
    let said =
        binary.refused(&["bench", "send", "--smtp", &smtp, "--security", "none", "--sends", "20", "--no-fsync"]).await;
    assert!(said.contains("0 of 20 mails were sent; the first failure: host-unreachable: "), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_given_servers_it_wants_an_empty_database() {
    let (database, cache, sink) = (postgres().await, redis().await, SmtpSink::start().await);
    let binary = Binary::new(BINARY, database.url(), &cache.url());

    let told = bench(&binary, &sink, &["--given-servers"]).await;
    assert_eq!((sink.taken(), told["sent"].as_u64()), (SENDS, Some(SENDS)));

    let mut redis = redis::Client::open(cache.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap();
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("{warmup-bench-")), "{keys:?}");

    // As in an older release's database: a bench that is refused has not brought it up to this one.
    const OLDER: &str = "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    const VERSIONS: &str = "SELECT count(*) FROM _sqlx_migrations";
    sqlx::query(OLDER).execute(database.pool()).await.unwrap();
    let before: i64 = sqlx::query_scalar(VERSIONS).fetch_one(database.pool()).await.unwrap();
    let smtp = format!("127.0.0.1:{}", sink.port());
    let said = binary.refused(&["bench", "send", "--smtp", &smtp, "--security", "none", "--given-servers"]).await;
    assert!(said.contains("give one that is empty"), "{said}");
    let after: i64 = sqlx::query_scalar(VERSIONS).fetch_one(database.pool()).await.unwrap();
    assert_eq!((after, sink.taken()), (before, SENDS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_in_the_log_before_are_not_its_own() {
    let (database, cache, sink) = (postgres().await, redis().await, SmtpSink::start().await);
    let binary = Binary::new(BINARY, database.url(), &cache.url());
    const EARLIER: &str = "
        INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason, worker_id)
        SELECT nextval('flight_ids'), now(), current_date, 1, 2, 'a@d.test', 'b@d.test', 'About the minutes', 'one for all',
               status, CASE status WHEN 'FAILED' THEN 'uncertain' END, 'bench'
        FROM unnest(ARRAY['SENT', 'SENT', 'REPLIED', 'FAILED']) AS status";
    sqlx::query("SELECT ensure_log_partitions(current_date, current_date)").execute(database.pool()).await.unwrap();
    sqlx::query(EARLIER).execute(database.pool()).await.unwrap();

    let told = bench(&binary, &sink, &["--given-servers"]).await;

    assert_eq!((told["sent"].as_u64(), &told["disagreements"]), (Some(SENDS), &Value::Array(vec![])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bench_sends_all_the_same_where_another_has_filled_caps_before_it() {
    let (cache, sink) = (redis().await, SmtpSink::start().await);
    for _ in 0..2 {
        let database = postgres().await;
        let told = bench(&Binary::new(BINARY, database.url(), &cache.url()), &sink, &["--given-servers"]).await;
        assert_eq!(told["sent"].as_u64(), Some(SENDS));
    }
}
