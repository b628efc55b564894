//! Orders to the fleet: a stop holds whatever happens, a start is obeyed at once.

use std::time::Duration;

use warmup_support::world::{eventually, postgres, redis};

use crate::{host::Host, process::Fleet};

const PATIENCE: Duration = Duration::from_secs(30);

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
