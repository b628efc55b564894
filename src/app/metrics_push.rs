//! The metrics of a process on their way to a collector, at their interval, until it stops.
//!
//! What concerns the fleet is the same whoever reads it, and a collector that sums what its processes push would tell it as
//! many times as there are workers. So only the leader pushes it: one at a time, and none for some seconds when the leader
//! changes. Who leads no longer says that its gauges have no value any more.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    admin::services::Services,
    api::exposition,
    observe::telemetry::{Push, SHUTDOWN_TIMEOUT},
};

/// Pushes until `stop` is cancelled, and once more then.
pub(super) async fn keep_pushing(desk: Arc<Services>, push: Arc<Push>, stop: CancellationToken) {
    let mut told_fleet = false;
    while stop.run_until_cancelled(desk.clock.sleep(push.every)).await.is_some() {
        let pushing = pushed(&desk, &push, told_fleet);
        match stop.run_until_cancelled(pushing).await {
            Some(leads) => told_fleet = leads,
            None => break,
        }
    }
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, pushed(&desk, &push, told_fleet)).await.is_err() {
        tracing::warn!("the last metrics were not exported: the collector does not answer");
    }
}

/// Pushes once. Returns whether the fleet was told of.
async fn pushed(desk: &Services, push: &Push, told_fleet: bool) -> bool {
    let leads = desk.meters.leader.get() == 1;
    let mut text = String::new();
    if leads {
        text += &exposition::fleet(desk).await;
    }
    text += &exposition::process(desk);
    push.push(&text, told_fleet && !leads).await;
    leads
}
