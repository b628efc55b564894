//! Several workers on one Redis and one Postgres, against one mail host: they share, and whoever goes is not missed.

use std::{collections::BTreeMap, time::Duration};

use sqlx::PgPool;
use warmup_support::world::{TestRedis, eventually, postgres, redis};

use crate::{
    host::Host,
    outage::{assert_true_numbers, in_flight},
    process::Fleet,
    truth::broken,
};

pub const SHARED: [(&str, &str); 2] = [("WARMUP_DISTRIBUTED_MODE", "true"), ("WARMUP_SHARDS", "16")];

/// Far longer than anything here takes, on a machine that does many other things.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a dead worker had on its way is swept at the first tick after the mail's deadline and ten seconds.
const SWEPT: Duration = Duration::from_secs(150);

/// How many shards each worker has that has any, ascending.
pub async fn shares(redis: &TestRedis) -> Vec<usize> {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:lease:shard:*").query_async(&mut connection).await.unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for key in keys {
        let owner: Option<String> = redis::cmd("GET").arg(key).query_async(&mut connection).await.unwrap();
        owner.into_iter().for_each(|owner| *counts.entry(owner).or_default() += 1);
    }
    let mut counts: Vec<usize> = counts.into_values().collect();
    counts.sort_unstable();
    counts
}

pub async fn share_as(redis: &TestRedis, wanted: &[usize]) {
    eventually(PATIENCE, async || shares(redis).await == wanted).await;
}

pub async fn reserved(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT COALESCE(sum(reserved), 0)::bigint FROM mailbox_days").fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_share_and_a_kill_a_stop_and_a_newcomer_double_and_lose_nothing() {
    const OWED: usize = 120 * 6;
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 120, 6, &SHARED).await;
    let [one, two, three, four] = [fleet.start(), fleet.start(), fleet.start(), fleet.start()];
    share_as(&cache, &[4; 4]).await;
    eventually(PATIENCE, async || host.taken() > 20).await;

    one.kill().await;
    share_as(&cache, &[5, 5, 6]).await;
    let before = host.taken();
    eventually(PATIENCE, async || host.taken() > before).await;

    two.stop().await;
    share_as(&cache, &[8, 8]).await;

    let five = fleet.start();
    share_as(&cache, &[5, 5, 6]).await;

    eventually(SWEPT, async || reserved(database.pool()).await == OWED as i64 && in_flight(database.pool()).await == 0)
        .await;
    for worker in [three, four, five] {
        worker.stop().await;
    }
    assert_eq!(shares(&cache).await, [0; 0], "all was given back");
    assert_eq!(broken(database.pool()).await, [""; 0]);
    assert_true_numbers(database.pool(), &host.message_ids()).await;
    let uncertain: i64 = sqlx::query_scalar("SELECT count(*) FROM logs WHERE reason = 'uncertain'")
        .fetch_one(database.pool())
        .await
        .unwrap();
    // Each of the four lanes may have four mails between reserve and settle when the worker is killed.
    assert!(uncertain <= 16, "{uncertain} uncertain of the four lanes of the worker that was killed");
    println!("{} at the host, {uncertain} uncertain", host.taken());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_a_living_worker_has_is_refused() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let settings = [&SHARED[..], &[("WARMUP_WORKER_ID", "twin")]].concat();
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 2, 1, &settings).await;
    let first = fleet.start();
    share_as(&cache, &[16]).await;

    let second = fleet.start();

    second.says("another worker called `twin` is running").await;
    assert_eq!(second.ended().await.0, Some(1));
    assert_eq!(shares(&cache).await, [16]);
    first.stop().await;
}
