//! kill -9 of a worker, and of the one that leads.

use warmup_support::world::eventually;

use super::world::{PROMISED, World, now};

pub async fn a_worker_that_is_killed_is_not_missed() {
    let mut world = World::at_work().await;

    world.kill("worker-1").await;
    world.send_again_as_promised(now()).await;

    world.share_evenly().await;
    world.assert_whole().await;
}

pub async fn a_leader_that_is_killed_is_succeeded() {
    let mut world = World::at_work().await;
    let leader = world.leader().await;

    world.kill(&leader).await;
    let killed = now();
    world.send_again_as_promised(killed).await;
    let heir = tokio::time::timeout(PROMISED, world.leader()).await.expect("another one leads");

    assert_ne!(heir, leader);
    let duties = "SELECT count(*) > 0 FROM cleanups WHERE finished_at IS NOT NULL";
    let done = async || sqlx::query_scalar::<_, bool>(duties).fetch_one(world.pool()).await.unwrap();
    eventually(PROMISED, done).await;
    world.assert_whole().await;
}
