//! Somebody locks `mailbox_days` for 40 s, and in this time all else breaks too.

use std::time::Duration;

use warmup_support::wire::Fault;

use super::world::{World, now};

const LOCKED: Duration = Duration::from_secs(40);

pub async fn a_locked_ledger_costs_nothing_while_all_else_breaks_too() {
    let mut world = World::at_work().await;
    let mut holder = world.pool().begin().await.unwrap();
    // They are chosen before the lock, for their mails must be on their way.
    world.freeze("worker-1").await;
    world.kill("worker-2").await;
    sqlx::query("LOCK TABLE mailbox_days IN EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    let locked = now();

    world.cut_from_postgres("worker-3", Fault::Hole);
    tokio::time::sleep(LOCKED / 4).await;
    world.empty_redis().await;
    world.newcomer().await;
    tokio::time::sleep(LOCKED / 4).await;
    world.thaw("worker-1");
    world.cut_from_redis("worker-4", Fault::Reset);
    tokio::time::sleep(LOCKED / 4).await;
    world.heal("worker-3");
    world.heal("worker-4");
    tokio::time::sleep(LOCKED.saturating_sub(locked.elapsed())).await;
    holder.rollback().await.unwrap();

    world.send_again_as_promised(now()).await;
    world.share_evenly().await;
    world.assert_whole().await;
}
