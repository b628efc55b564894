//! One worker is cut off: from Redis only, from Postgres only, at once or without a word.

use std::time::Duration;

use warmup_support::wire::Fault;

use super::{
    record,
    world::{LEASE_TTL, World, now},
};

const CUT_OFF: &str = "worker-3";

/// When the one without Postgres holds no shard any more.
const NOTHING_HELD_AFTER: Duration = Duration::from_secs(20);

/// A grant holds for three seconds, so a reserve may come so much later than the last word of Redis.
const GRANT_HOLDS: Duration = Duration::from_secs(3);

pub async fn a_worker_without_postgres_holds_no_shard_after_20_s() {
    without_postgres(Fault::Reset).await;
}

pub async fn a_worker_whose_postgres_vanished_without_a_word_holds_no_shard_after_20_s() {
    without_postgres(Fault::Hole).await;
}

async fn without_postgres(fault: Fault) {
    let mut world = World::at_work().await;

    world.cut_from_postgres(CUT_OFF, fault);
    let cut = now();
    tokio::time::sleep(NOTHING_HELD_AFTER).await;
    assert_eq!(world.holders().await.get(CUT_OFF), None);
    world.send_again_as_promised(cut).await;
    world.heal(CUT_OFF);
    let healed = now();

    world.send_again_as_promised(healed).await;
    world.share_evenly().await;
    world.send_again_as_promised(now()).await;
    world.assert_whole().await;
}

pub async fn a_worker_without_redis_sends_nothing_and_is_not_missed() {
    let mut world = World::at_work().await;
    for fault in [Fault::Reset, Fault::Hole] {
        world.cut_from_redis(CUT_OFF, fault);
        let cut = now();
        tokio::time::sleep(GRANT_HOLDS).await;
        let reserved = record::reservations_by(world.pool(), CUT_OFF).await;
        world.send_again_as_promised(cut).await;
        tokio::time::sleep(LEASE_TTL.saturating_sub(cut.elapsed())).await;
        assert_eq!(record::reservations_by(world.pool(), CUT_OFF).await, reserved, "no caps, no mail");
        world.heal(CUT_OFF);
        world.send_again_as_promised(now()).await;
        world.share_evenly().await;
    }

    world.assert_whole().await;
}

/// What it asked before it was cut off arrives after others have its shards: heartbeats, caps.
pub async fn what_a_worker_asked_redis_too_late_harms_nobody() {
    let mut world = World::at_work().await;

    world.cut_from_redis(CUT_OFF, Fault::Stall);
    let cut = now();
    world.send_again_as_promised(cut).await;
    tokio::time::sleep(NOTHING_HELD_AFTER.saturating_sub(cut.elapsed())).await;
    world.heal(CUT_OFF);

    world.send_again_as_promised(now()).await;
    world.share_evenly().await;
    world.assert_whole().await;
}
