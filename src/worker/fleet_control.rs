//! `OrderListener` reads the fleet order for the loop: after a notification, and at each heartbeat in case one was
//! missed.
//!
//! It also reads the requests to plan some shards before the next tick. So 1,000 mailboxes that are enrolled one by one
//! cost one plan of their shards per heartbeat, not 1,000 plans.
//!
//! A stopped worker keeps its shards and finishes its in-flight mails; it plans and starts nothing. Each reserve checks
//! the order in the ledger, so that no mail starts between an order and its reading here.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Event, Ports};
use crate::{domain::id::ShardId, ports::fleet_control::Notification};

/// An `OrderListener` passes the fleet order and plan requests to the loop.
pub(super) struct OrderListener {
    pub(super) ports: Ports,
    pub(super) heartbeat: Duration,
    pub(super) events_tx: mpsc::UnboundedSender<Event>,
}

impl OrderListener {
    /// Sends the orders and requests to the loop, until `stop`.
    pub(super) async fn listen(self, stop: CancellationToken) {
        let mut heard = HashMap::new();
        loop {
            let (ring, rung) = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                ring = self.ports.bell.next() => (ring, true),
                () = self.ports.clock.sleep(self.heartbeat) => (Notification::Ordered, false),
            };
            let event = match ring {
                Notification::Trigger => Event::Triggered,
                Notification::Ordered => match self.ports.orders.running().await {
                    Ok(running) => Event::Ordered { running, rung },
                    Err(error) => {
                        tracing::debug!(%error, "the standing order can't be read: what was known of it stays");
                        continue;
                    }
                },
            };
            if self.events_tx.send(event).is_err() {
                return;
            }
            if ring == Notification::Ordered {
                self.pass_on_requests(&mut heard).await;
            }
        }
    }

    /// Sends the loop the shards with a request that is not in `heard` yet.
    async fn pass_on_requests(&self, heard: &mut HashMap<ShardId, i64>) {
        let requests = match self.ports.orders.plan_requests().await {
            Ok(requests) => requests,
            Err(error) => {
                return tracing::debug!(%error, "the requests for a plan can't be read: the next heartbeat does");
            }
        };
        let new = requests.into_iter().filter(|(shard, request)| heard.insert(*shard, *request) != Some(*request));
        let shards: BTreeSet<ShardId> = new.map(|(shard, _)| shard).collect();
        if !shards.is_empty() {
            // The channel is closed only if the loop has ended, and then nothing needs a plan.
            drop(self.events_tx.send(Event::PlanRequested(shards)));
        }
    }
}
