//! A sweep that is held up on its way judges by what was known when it was asked.

use std::time::Duration;

use chrono::{DateTime, Utc};
use warmup_support::{proxy::Hold, world::eventually};

use super::{
    ledger::{self, Ledger},
    stage::{Cast, Fixture},
};

const CAST: Cast = Cast { mailboxes: 4, quota: 1 };

/// The age at which a flight counts as orphaned, under the settings of the stage.
const OLD: &str = "SELECT count(*) FROM in_flight WHERE reserved_at < clock_timestamp() - interval '12.1 seconds'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_that_comes_late_gives_back_nothing_that_was_sent_meanwhile() {
    let stage = Fixture::set(CAST, &[]).await;
    // The worker's first sweep is for no shards; the one that counts comes with its shards.
    stage.proxy.hold("-- Raise", Hold::Question);
    let mut worker = stage.binary.run();
    stage.expect("it has leases and no shards yet", &worker, stage.proxy.sprung()).await;
    let idle = eventually(Duration::from_secs(30), async || sweeps_since(&stage, DateTime::UNIX_EPOCH).await > 0);
    stage.expect("the first sweep is through", &worker, idle).await;
    stage.proxy.hold("-- Sweep:", Hold::Question);
    stage.proxy.release_first();
    // It does not know of any flight: none was reserved when it was asked.
    stage.expect("the sweep is held", &worker, stage.proxy.sprung()).await;
    stage.proxy.hold("-- Settle:", Hold::Question);
    let arrived = eventually(Duration::from_secs(30), async || stage.host.taken() > 0);
    stage.expect("a mail arrives", &worker, arrived).await;
    let aged = eventually(Duration::from_secs(30), async || ledger::number(stage.pool(), OLD).await > 0);
    stage.expect("its settle is held until it is old", &worker, aged).await;
    let now = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(stage.pool()).await.unwrap();
    stage.proxy.release_first();
    let swept = eventually(Duration::from_secs(10), async || sweeps_since(&stage, now).await > 0);
    stage.expect("the sweep is through", &worker, swept).await;
    stage.proxy.release();
    let sent = eventually(Duration::from_secs(30), async || stage.host.taken() == CAST.owed());
    stage.expect("all is sent", &worker, sent).await;
    worker.terminate().await;
    assert!(worker.ended(Duration::from_secs(20)).await.success(), "{}", worker.log());
    ledger::assert_sums(stage.pool()).await;
    let told = Ledger::read(stage.pool()).await;
    told.assert_tells(&stage.host.journal());
    assert_eq!(told.sent.len(), CAST.owed());
}

/// How many connections have run a sweep as their last statement, since then.
async fn sweeps_since(stage: &Fixture, then: DateTime<Utc>) -> i64 {
    const SWEPT: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'warmup' AND state = 'idle'
        AND datname = current_database() AND query LIKE '-- Sweep:%' AND state_change > $1";
    sqlx::query_scalar(SWEPT).bind(then).fetch_one(stage.pool()).await.expect("the database answers")
}
