//! A rolling restart: a newcomer each time, then SIGTERM to one of those that were there.

use super::{
    whole::Ends,
    world::{WORKERS, World, now},
};

pub async fn a_rolling_restart_loses_and_doubles_nothing() {
    let mut world = World::at_work().await;
    for old in 1..=WORKERS {
        world.newcomer().await;
        world.share_evenly().await;
        world.stop(&format!("worker-{old}")).await;
    }
    let healed = now();

    world.send_again_as_promised(healed).await;
    let sent = world.host.taken();
    let Ends { failed, uncertain, .. } = world.assert_whole().await;
    assert!(sent > 0);
    assert_eq!((failed, uncertain), (0, 0));
}
