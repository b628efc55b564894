//! Another number of shards: refused while anybody works, whoever sees it; and moved when all are down.

use warmup_support::world::{postgres, redis};

use crate::{
    host::Host,
    process::Fleet,
    workers::{SHARED, share_as},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_shards_changes_only_while_all_workers_are_down() {
    let (database, cache, elsewhere, host) = (postgres().await, redis().await, redis().await, Host::start().await);
    let mut fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 20, 1, &SHARED).await;
    fleet.set("WARMUP_WORKER_ID", "first");
    let worker = fleet.start();
    share_as(&cache, &[16]).await;

    fleet.set("WARMUP_SHARDS", "8");
    fleet.set("WARMUP_WORKER_ID", "second");
    let (code, said) = fleet.start().ended().await;
    assert!(code == Some(1) && said.contains("16 shards, WARMUP_SHARDS says 8: run `warmup migrate`"), "{said}");
    // Redis sees it, and names it.
    let (done, said) = fleet.order(&["migrate"]).await;
    assert!(!done && said.contains("stop all workers") && said.contains("`first` still runs"), "{said}");
    // Postgres sees it, also where Redis can't.
    fleet.set("REDIS_URL", &elsewhere.url());
    let (done, said) = fleet.order(&["migrate"]).await;
    assert!(!done && said.contains("stop all workers") && said.contains("sessions of workers"), "{said}");
    fleet.set("REDIS_URL", &cache.url());
    share_as(&cache, &[16]).await;

    worker.stop().await;

    let (done, said) = fleet.order(&["migrate"]).await;
    assert!(done && said.contains("8 shards instead of 16"), "{said}");
    let worker = fleet.start();
    share_as(&cache, &[8]).await;
    worker.stop().await;
}
