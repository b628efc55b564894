//! What `warmup logs list` finds.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use warmup::reporting::sql::{LogFilter, LogView, logs};
use warmup_support::world::{TestDatabase, postgres};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Three mails of two days; the second one's answer is not known.
async fn written() -> TestDatabase {
    let database = postgres().await;
    const WRITE: &str = "
        INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason, worker_id)
        VALUES (1, '2026-11-23T10:00:00Z', '2026-11-23', 1, 2, 'A@x.test', 'b@y.test', 'one', '1', 'SENT', NULL, 'w'),
               (3, '2026-11-24T10:00:00Z', '2026-11-24', 2, 1, 'b@y.test', 'A@x.test', 'two', '2', 'FAILED', 'uncertain', 'w'),
               (2, '2026-11-24T11:00:00Z', '2026-11-25', 3, 2, 'c@z.test', 'b@y.test', 'three', '3', 'SENT', NULL, 'w')";
    sqlx::query("SELECT ensure_log_partitions('2026-11-23', '2026-11-25')").execute(database.pool()).await.unwrap();
    sqlx::query(WRITE).execute(database.pool()).await.unwrap();
    database
}

async fn found(pool: &PgPool, filter: LogFilter) -> Vec<String> {
    let limit = if filter.limit == 0 { 100 } else { filter.limit };
    let rows: Vec<LogView> = logs(pool, &LogFilter { limit, ..filter }).await.unwrap();
    rows.into_iter().map(|row| row.subject).collect()
}

#[tokio::test]
async fn the_newest_comes_last_and_the_latest_are_kept() {
    let database = written().await;
    assert_eq!(found(database.pool(), LogFilter::default()).await, ["one", "two", "three"]);
    assert_eq!(found(database.pool(), LogFilter { limit: 2, ..LogFilter::default() }).await, ["two", "three"]);
}

#[tokio::test]
async fn each_filter_takes_only_what_it_names() {
    let database = written().await;
    let some = |text: &str| Some(text.to_owned());
    let none = LogFilter::default;
    for (filter, subjects) in [
        (LogFilter { mailbox: some("a@X.test"), ..none() }, vec!["one", "two"]),
        (LogFilter { status: some("SENT"), ..none() }, vec!["one", "three"]),
        (LogFilter { reason: some("uncertain"), ..none() }, vec!["two"]),
        (LogFilter { since: Some(at("2026-11-24T10:00:00Z")), ..none() }, vec!["two", "three"]),
        (LogFilter { until: Some(at("2026-11-24T10:00:00Z")), ..none() }, vec!["one"]),
        (LogFilter { mailbox: some("a@x.test"), status: some("FAILED"), reason: some("other"), ..none() }, vec![]),
    ] {
        assert_eq!(found(database.pool(), filter.clone()).await, subjects, "{filter:?}");
    }
}
