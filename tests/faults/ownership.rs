//! A mail belongs to the term in which its shard was held: another term of the same worker's is not its own, because
//! somebody else may have had the shard in between.

use std::time::Duration;

use warmup_support::world::eventually;

use super::{
    host::Moment,
    ledger::{self, Ledger},
    stage::{Cast, Fixture},
};

const LANES: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_of_an_earlier_term_is_given_up_before_its_dot() {
    let patient = [("WARMUP_DRAIN_TIMEOUT_MS", "60000"), ("WARMUP_SMTP_TIMEOUT_MS", "50000")];
    let stage = Fixture::set(Cast { mailboxes: 4, quota: 1 }, &patient).await;
    stage.host.hold(Moment::Rcpt);
    let worker = stage.binary.run();
    stage.expect("all lanes are held", &worker, stage.host.held(LANES)).await;
    let before = epochs(&stage).await;

    let client = redis::Client::open(stage.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    let again = eventually(PATIENCE, async || epochs(&stage).await == before + 8 && stage.leases().await >= 8);
    stage.expect("it holds its shards again", &worker, again).await;
    stage.host.release();

    eventually(PATIENCE, async || Ledger::read(stage.pool()).await.failed.len() == LANES).await;
    let told = Ledger::read(stage.pool()).await;
    told.assert_tells(&stage.host.journal());
    assert_eq!(told.uncertain.len(), 0);
    ledger::assert_sums(stage.pool()).await;
}

/// The sum over the eight shards: each raise is one more.
async fn epochs(stage: &Fixture) -> i64 {
    ledger::number(stage.pool(), "SELECT sum(epoch)::bigint FROM shards").await
}
