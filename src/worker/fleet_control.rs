//! Obeys the fleet's standing order: reads it when the bell rings, and at every heartbeat for rings that were missed. With it
//! the listener reads the requests to plan some shards before the next tick. So a thousand mailboxes that are enrolled one by
//! one cost one plan of their shards each heartbeat, not a thousand.
//!
//! A stopped worker keeps its shards and finishes what it started; it plans and starts nothing. The reserve asks again in
//! the ledger, so that nothing goes out between an order and this look at it.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Event, Ports};
use crate::{domain::id::ShardId, ports::fleet_control::Notification};

pub(super) struct OrderListener {
    pub(super) ports: Ports,
    pub(super) heartbeat: Duration,
    pub(super) events_tx: mpsc::UnboundedSender<Event>,
}

impl OrderListener {
    /// Tells the loop what is ordered, until `stop`.
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

    /// Tells the loop which shards a plan is asked for that was not asked for when `heard` was read.
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
            // A loop that is gone needs no plan.
            drop(self.events_tx.send(Event::PlanRequested(shards)));
        }
    }
}
