//! A reserve that is on its way when its worker dies, and arrives when another one has the shard.

use warmup_support::proxy::{Hold, PostgresProxy};

use super::{
    record,
    world::{World, now},
};

pub async fn what_a_dead_worker_asked_postgres_reserves_nothing_under_its_successor() {
    let mut world = World::at_work().await;
    let proxy = PostgresProxy::to(world.database_url()).await;
    let dead = world.newcomer_by(proxy.url()).await;
    world.share_evenly().await;

    proxy.hold("-- Reserve:", Hold::Question);
    proxy.sprung().await;
    let reserved = record::reservations_by(world.pool(), &dead).await;
    world.kill_at_once(&dead).await;
    world.send_again_as_promised(now()).await;
    world.share_evenly().await;
    proxy.release();

    world.send_again_as_promised(now()).await;
    assert_eq!(record::reservations_by(world.pool(), &dead).await, reserved);
    world.assert_whole().await;
}
