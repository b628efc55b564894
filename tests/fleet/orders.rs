//! Orders to the fleet: a stop holds whatever happens, a start is obeyed at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use warmup_support::world::{eventually, postgres, redis};

use crate::{
    host::Host,
    process::{Fleet, Running},
};

const PATIENCE: Duration = Duration::from_secs(30);

const SHARED: [(&str, &str); 2] = [("WARMUP_DISTRIBUTED_MODE", "true"), ("WARMUP_HEARTBEAT_MS", "5000")];

/// No heartbeat reads an order so soon: it was heard.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_workers_obey_at_once_and_a_newcomer_obeys_the_standing_order() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    // With a heartbeat so rare that nobody hears of an order by it.
    let settings = [&SHARED[..], &[("WARMUP_LEASE_TTL_MS", "15000")]].concat();
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 60, 100, &settings).await;
    let mut workers = vec![fleet.start(), fleet.start(), fleet.start()];
    for worker in &workers {
        worker.says("acquired shards").await;
    }
    eventually(PATIENCE, async || host.taken() >= 5).await;

    let (done, said) = fleet.order(&["fleet", "stop"]).await;
    assert!(done, "{said}");
    under_way_is_over(database.pool()).await;
    const BATCHES: &str = "SELECT count(*) FROM batches";
    let batches = async || sqlx::query_scalar::<_, i64>(BATCHES).fetch_one(database.pool()).await.unwrap();
    let before = batches().await;
    all_say(&workers, "stopped by order").await;
    workers.push(fleet.start());
    workers[3].says("stopped by order").await;
    workers[3].says("acquired shards").await;
    assert_eq!(batches().await, before, "no batch began after the order was given");

    let (done, said) = fleet.order(&["fleet", "start"]).await;
    assert!(done, "{said}");
    all_say(&workers, "started by order").await;
    eventually(PATIENCE, async || batches().await > before).await;
    let (done, said) = fleet.order(&["fleet", "trigger"]).await;
    assert!(done, "{said}");
    all_say(&workers, "triggered: planning now").await;
    let (done, said) = fleet.order(&["fleet", "status", "--json"]).await;
    assert!(done && said.contains("\"running\": true"), "{said}");
    for worker in workers {
        worker.stop().await;
    }
}

/// A reserve that began before the order was written may come to its end after it: waits until no such one is left.
async fn under_way_is_over(pool: &PgPool) {
    const OLDER: &str = "
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'warmup' AND xact_start < $1";
    let given: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await.unwrap();
    let older = async || sqlx::query_scalar::<_, i64>(OLDER).bind(given).fetch_one(pool).await.unwrap();
    eventually(PATIENCE, async || older().await == 0).await;
}

async fn all_say(workers: &[Running], words: &str) {
    let said = async || workers.iter().all(|worker| worker.said().contains(words));
    eventually(AT_ONCE, said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_fleet_sends_nothing_until_it_is_started() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 40, 30, &[]).await;
    let worker = fleet.start();
    eventually(PATIENCE, || async { host.taken() >= 5 }).await;

    let (done, said) = fleet.order(&["fleet", "stop"]).await;
    assert!(done && said.starts_with("the fleet is stopped: what is on its way finishes"), "{said}");
    worker.says("stopped by order").await;
    const IN_FLIGHT: &str = "SELECT count(*) FROM in_flight";
    let settled = async || sqlx::query_scalar::<_, i64>(IN_FLIGHT).fetch_one(database.pool()).await.unwrap() == 0;
    eventually(PATIENCE, settled).await;
    let before = host.taken();
    let (done, said) = fleet.order(&["fleet", "trigger"]).await;
    assert!(!done && said.contains("start it first"), "{said}");

    // One that joins later obeys the standing order too.
    worker.stop().await;
    let heir = fleet.start();
    heir.says("stopped by order").await;
    heir.says("acquired shards").await;
    assert_eq!(host.taken(), before);

    let (done, said) = fleet.order(&["fleet", "start", "--json"]).await;
    assert!(done && said.contains("\"announced\": true") && said.contains("\"changed\": true"), "{said}");
    heir.says("started by order").await;
    eventually(PATIENCE, || async { host.taken() > before }).await;
    let told: Vec<String> = sqlx::query_scalar("SELECT kind FROM events WHERE kind LIKE 'fleet-%' ORDER BY id")
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert_eq!(told, ["fleet-stopped", "fleet-started"]);
    heir.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_holds_without_redis_and_when_it_comes_back_empty() {
    let (database, mut cache, host) = (postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 40, 30, &[]).await;
    let worker = fleet.start();
    eventually(PATIENCE, || async { host.taken() >= 5 }).await;
    cache.halt().await;
    let (done, said) = fleet.order(&["fleet", "stop"]).await;
    assert!(done && said.contains("Redis does not pass it on"), "{said}");
    worker.says("stopped by order").await;
    cache.start_again().await.unwrap();
    // It holds its shards again and still starts nothing: a plan of another worker's would be refused by the ledger too.
    worker.says("lost").await;
    let reserved = "SELECT count(*) FROM logs";
    let rows = async || sqlx::query_scalar::<_, i64>(reserved).fetch_one(database.pool()).await.unwrap();
    let before = rows().await;
    let (done, said) = fleet.order(&["fleet", "trigger"]).await;
    assert!(!done && said.contains("start it first"), "{said}");
    worker.stop().await;
    assert_eq!(rows().await, before);
}
