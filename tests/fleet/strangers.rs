//! Two fleets under one prefix of one Redis: each has a database of its own, and neither takes the other's shards.

use uuid::Uuid;
use warmup_support::world::{TestRedis, eventually, postgres, redis};

use crate::{
    host::Host,
    outage::assert_true_numbers,
    process::Fleet,
    truth::broken,
    workers::{PATIENCE, SHARED, reserved, share_as, shares},
};

/// Puts a member of another fleet beside those that live, as one does that was there when Redis came back empty.
async fn settle_in(cache: &TestRedis, stranger: Uuid) {
    let far = 9_000_000_000_000_i64;
    let mut connection = redis::Client::open(cache.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::pipe()
        .atomic()
        .zadd("{warmup}:members", stranger.to_string(), far)
        .set("{warmup}:fleet", "another")
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
}

async fn leads(cache: &TestRedis) -> bool {
    let mut connection = redis::Client::open(cache.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::cmd("EXISTS").arg("{warmup}:lease:leader").query_async(&mut connection).await.unwrap()
}

async fn move_out(cache: &TestRedis, stranger: Uuid) {
    let mut connection = redis::Client::open(cache.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::pipe()
        .atomic()
        .zrem("{warmup}:members", stranger.to_string())
        .del("{warmup}:fleet")
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_another_fleet_is_refused_and_the_fleet_goes_on() {
    let (ours, theirs, cache, host) = (postgres().await, postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(&ours, ours.url(), &cache, host.port(), 4, 2, &SHARED).await;
    let mut other = Fleet::enrol(&theirs, theirs.url(), &cache, host.port(), 4, 2, &SHARED).await;
    let first = fleet.start();
    share_as(&cache, &[16]).await;

    let refused = other.start();

    refused.says("of another fleet, with another database, runs under the same WARMUP_REDIS_PREFIX").await;
    let (code, said) = refused.ended().await;
    assert!(code == Some(1) && !said.contains("acquired shards"), "{said}");
    assert_eq!(shares(&cache).await, [16]);
    other.set("WARMUP_REDIS_PREFIX", "theirs");
    let second = other.start();
    second.says("acquired shards").await;
    for worker in [first, second] {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_finds_itself_among_strangers_drops_its_shards_and_goes_on_when_it_is_alone() {
    const OWED: i64 = 60 * 4;
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let fleet = Fleet::enrol(&database, database.url(), &cache, host.port(), 60, 4, &SHARED).await;
    let worker = fleet.start();
    share_as(&cache, &[16]).await;
    eventually(PATIENCE, async || host.taken() > 10).await;
    let stranger = Uuid::now_v7();

    settle_in(&cache, stranger).await;

    worker.says("workers of another fleet, with another database, live under these keys").await;
    worker.says("lost shards").await;
    share_as(&cache, &[]).await;
    eventually(PATIENCE, async || !leads(&cache).await).await;
    move_out(&cache, stranger).await;
    share_as(&cache, &[16]).await;
    eventually(PATIENCE, async || reserved(database.pool()).await == OWED).await;
    worker.stop().await;
    assert_eq!(broken(database.pool()).await, [""; 0]);
    assert_true_numbers(database.pool(), &host.message_ids()).await;
}
