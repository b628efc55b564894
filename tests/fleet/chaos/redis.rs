//! Redis forgets everything, or stops in the middle of what it does.

use std::time::Duration;

use rustix::process::Signal;

use super::{
    record,
    world::{World, now},
};

const PAUSE: Duration = Duration::from_secs(20);

pub async fn a_redis_that_came_back_empty_moves_nothing() {
    let mut world = World::at_work().await;
    let owners = owners(&world).await;

    world.empty_redis().await;
    world.send_again_as_promised(now()).await;

    world.share_evenly().await;
    assert_eq!(owners, self::owners(&world).await, "all took again what was their own");
    let ends = world.assert_whole().await;
    assert_eq!(ends.uncertain, 0);
}

pub async fn a_redis_that_was_paused_for_20_s_stops_nobody_for_longer() {
    let world = World::at_work().await;

    world.signal_redis(Signal::STOP);
    tokio::time::sleep(PAUSE / 2).await;
    let reserved = record::shards_of_mails(world.pool()).await.unwrap().len();
    tokio::time::sleep(PAUSE / 2).await;
    assert_eq!(record::shards_of_mails(world.pool()).await.unwrap().len(), reserved, "no caps, no mail");
    world.signal_redis(Signal::CONT);
    world.send_again_as_promised(now()).await;

    let ends = world.assert_whole().await;
    assert_eq!(ends.uncertain, 0);
}

/// The shards and who owned them last.
async fn owners(world: &World) -> Vec<(i32, Option<String>)> {
    sqlx::query_as("SELECT shard, worker_id FROM shards ORDER BY shard").fetch_all(world.pool()).await.unwrap()
}
