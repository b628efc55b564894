//! Postgres dies and comes back with its data, or is gone without a word for all workers at once.

use std::time::Duration;

use warmup_support::wire::Fault;

use super::world::{World, now};

/// Long enough that all leases have run out.
const GONE: Duration = Duration::from_secs(18);

/// Short: whoever asked something just before still waits for the answer when all is well again.
const BLINK: Duration = Duration::from_secs(2);

pub async fn a_postgres_that_was_killed_has_all_that_was_settled() {
    let mut world = World::at_work_on_a_postgres_of_its_own().await;

    world.kill_postgres().await;
    tokio::time::sleep(GONE).await;
    world.start_postgres_again().await;
    world.send_again_as_promised(now()).await;

    world.share_evenly().await;
    world.assert_whole().await;
}

pub async fn a_postgres_that_vanished_without_a_word_is_used_again() {
    let mut world = World::at_work().await;
    for gone in [GONE, BLINK] {
        let names: Vec<String> = world.workers.iter().map(|worker| worker.name.clone()).collect();
        names.iter().for_each(|name| world.cut_from_postgres(name, Fault::Hole));
        tokio::time::sleep(gone).await;
        names.iter().for_each(|name| world.heal(name));
        world.send_again_as_promised(now()).await;
    }

    world.share_evenly().await;
    world.assert_whole().await;
}
