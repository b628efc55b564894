//! Services go away and come back; a stop comes while mails are on their way.

use std::time::Duration;

use sqlx::PgPool;
use warmup_support::world::{eventually, postgres, redis};

use crate::{
    gate::Gate,
    host::{Host, Moment},
    process::Fleet,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Lease TTL + two heartbeats, and what a loaded machine adds.
const BACK_WITHIN: Duration = Duration::from_secs(15);

pub async fn assert_true_numbers(pool: &PgPool, taken: &[String]) {
    let untrue: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM mailbox_days d
         WHERE reserved <> sent + uncertain + (SELECT count(*) FROM in_flight f WHERE f.mailbox_id = d.mailbox_id AND answers IS NULL)",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(untrue, 0);
    let sent: Vec<String> =
        sqlx::query_scalar("SELECT message_id FROM logs WHERE status <> 'FAILED'").fetch_all(pool).await.unwrap();
    assert!(sent.iter().all(|id| taken.contains(id)), "only what the host took is SENT");
    let mut once = taken.to_vec();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), taken.len(), "no message is submitted twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_goes_away_and_comes_back() {
    let (database, mut cache, host) = (postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 40, 8, &[]).await;
    let worker = fleet.start();
    eventually(PATIENCE, || async { host.taken() >= 5 }).await;
    cache.halt().await;
    worker.says("heartbeat failed").await;
    // What was granted before may still be on its way, for as long as a mail lives.
    eventually(PATIENCE, || async { in_flight(database.pool()).await == 0 }).await;
    let before = host.taken();
    cache.start_again().await.unwrap();
    eventually(BACK_WITHIN, || async { host.taken() > before }).await;
    worker.stop().await;
    assert_true_numbers(database.pool(), &host.message_ids()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_goes_away_and_comes_back() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let gate = Gate::before(database.url()).await;
    let fleet = Fleet::enrol(&database, gate.url(), &cache, host.port(), 40, 8, &[]).await;
    let worker = fleet.start();
    eventually(PATIENCE, || async { host.taken() >= 5 }).await;
    gate.shut();
    worker.says("heartbeat failed").await;
    let before = host.taken();
    gate.open();
    eventually(BACK_WITHIN, || async { host.taken() > before + 10 }).await;
    worker.stop().await;
    assert_true_numbers(database.pool(), &host.message_ids()).await;
    assert_eq!(in_flight(database.pool()).await, 0, "results that waited in memory were written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_settles_what_is_on_its_way_and_gives_the_leases_back() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 6, 2, &[]).await;
    let worker = fleet.start();
    tokio::time::timeout(PATIENCE, host.hold(Moment::DotTaken)).await.expect("a mail comes to its dot");
    // The host never answers: the mail's own deadline ends it, before the drain's does.
    worker.stop().await;
    let (uncertain, in_flight): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE reason = 'uncertain'), (SELECT count(*) FROM in_flight) FROM logs",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert_eq!((uncertain, in_flight), (1, 0));
    assert_true_numbers(database.pool(), &host.message_ids()).await;
    let client = ::redis::Client::open(cache.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let leases: Vec<String> = ::redis::cmd("KEYS").arg("*lease*").query_async(&mut connection).await.unwrap();
    assert_eq!(leases, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_that_hangs_does_not_hold_up_a_stop() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 6, 2, &[]).await;
    let mut holder = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE mailbox_days IN EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    let worker = fleet.start();
    eventually(PATIENCE, || async { ticks_waiting(database.pool()).await > 0 }).await;
    // Within its own deadline, before the server's time-outs.
    worker.stop().await;
    holder.rollback().await.unwrap();
    assert_eq!((host.taken(), in_flight(database.pool()).await), (0, 0));
}

async fn ticks_waiting(pool: &PgPool) -> i64 {
    const WAITING: &str = "
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'warmup'";
    sqlx::query_scalar(WAITING).fetch_one(pool).await.unwrap()
}

pub async fn in_flight(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM in_flight").fetch_one(pool).await.unwrap()
}
