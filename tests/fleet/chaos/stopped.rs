//! An order holds whatever comes back empty or joins.

use std::time::Duration;

use warmup_support::world::eventually;

use super::world::{PATIENCE, World, now};

/// The newcomer has its share by then, and everybody has ticked.
const LONG_ENOUGH: Duration = Duration::from_secs(5);

pub async fn a_stopped_fleet_sends_nothing_whatever_comes_back_or_joins() {
    let mut world = World::at_work().await;

    world.order(&["stop"]).await;
    const FLYING: &str = "SELECT count(*) FROM in_flight";
    let pool = world.pool().clone();
    eventually(PATIENCE, async || sqlx::query_scalar::<_, i64>(FLYING).fetch_one(&pool).await.unwrap() == 0).await;
    let (taken, reserved) = (world.host.taken(), reservations(&world).await);
    world.empty_redis().await;
    world.newcomer().await;
    world.share_evenly().await;
    tokio::time::sleep(LONG_ENOUGH).await;
    assert_eq!((world.host.taken(), reservations(&world).await), (taken, reserved), "nothing is sent");

    world.order(&["start"]).await;
    world.send_again_as_promised(now()).await;
    let ends = world.assert_whole().await;
    assert_eq!(ends.uncertain, 0);
}

async fn reservations(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM chaos_reserved").fetch_one(world.pool()).await.unwrap()
}
