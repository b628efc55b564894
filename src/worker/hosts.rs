//! `Worker::hear_lanes` passes the ended mails to the queue, and logs and stores the slow mail hosts (`queue/fair.rs`).

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Worker, queue::HostTurn};

impl Worker {
    /// Passes the ended mails to the queue, and tells the lanes for which ends the queue waits at `now`.
    pub(super) fn hear_lanes(&mut self, now: DateTime<Utc>) {
        let awaited = self.queue.take_awaited(now);
        let ended = self.lanes.hear(awaited);
        let turns: Vec<HostTurn> =
            ended.into_iter().filter_map(|end| self.queue.lane_ended(end.mailbox, end.sign)).collect();
        for turn in &turns {
            match turn {
                HostTurn::Slow(host) => tracing::warn!(
                    %host,
                    "the mail host does not answer in time: few mails are sent to it at once until it answers"
                ),
                HostTurn::Prompt(host) => tracing::info!(%host, "the mail host answers in time again"),
            }
        }
        if !turns.is_empty() {
            self.note_slow_hosts();
        }
    }

    /// Stores the slow hosts in a task beside the loop. If that fails, the next tick stores all of them again.
    pub(super) fn note_slow_hosts(&self) {
        let hosts: Vec<String> = self.queue.slow_hosts().iter().map(ToString::to_string).collect();
        let (ledger, worker) = (Arc::clone(&self.ports.ledger), self.settings.worker.clone());
        let now = self.ports.clock.now();
        self.tracker.spawn(async move {
            if let Err(error) = ledger.note_slow_hosts(&worker, &hosts, now).await {
                tracing::warn!(%error, "which mail hosts are slow is not written down: the next tick repeats it");
            }
        });
    }
}
