//! Obeys the fleet's standing order: reads it when the bell rings, and at every heartbeat for rings that were missed.
//!
//! A stopped worker keeps its shards and finishes what it started; it plans and starts nothing. The reserve asks again in
//! the ledger, so that nothing goes out between an order and this look at it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Event, Ports};
use crate::ports::orders::Ring;

pub(super) struct Listener {
    pub(super) ports: Ports,
    pub(super) heartbeat: Duration,
    pub(super) tell: mpsc::UnboundedSender<Event>,
}

impl Listener {
    /// Tells the loop what is ordered, until `stop`.
    pub(super) async fn listen(self, stop: CancellationToken) {
        loop {
            let (ring, rung) = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                ring = self.ports.bell.next() => (ring, true),
                () = self.ports.clock.pause(self.heartbeat) => (Ring::Ordered, false),
            };
            let event = match ring {
                Ring::Trigger => Event::Triggered,
                Ring::Ordered => match self.ports.orders.running().await {
                    Ok(running) => Event::Ordered { running, rung },
                    Err(error) => {
                        tracing::debug!(%error, "the standing order can't be read: what was known of it stays");
                        continue;
                    }
                },
            };
            if self.tell.send(event).is_err() {
                return;
            }
        }
    }
}
