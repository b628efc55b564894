//! This module pushes the metrics of a process to a collector at an interval until the process stops.
//!
//! Every worker would report the same fleet metrics, and a collector that sums its sources would multiply them
//! by the number of workers. So only the leader pushes them: one process at a time, and none for some seconds
//! after the leader changes. A worker that loses the leadership reports its fleet gauges as having no value.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    admin::services::Services,
    api::exposition,
    observe::telemetry::{Push, SHUTDOWN_TIMEOUT},
};

/// Pushes at the interval until `stop` is cancelled, then once more.
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

/// Pushes once. Returns true if the push contained the fleet metrics.
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
