//! `Worker::drain` ends the worker in order.
//!
//! No new mail starts. In-flight mails finish; after the mail deadline, or five sixths of the drain timeout, the rest
//! is cancelled. Then the settler writes the results, and the worker gives back its connections, the leadership and its
//! leases. Each step has its own limit, so that no service that hangs can block the stop.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Worker, settler::ResultSender};
use crate::observe::liveness::Phase;

/// The time between two log lines about in-flight mails. Machine clock.
const SAY: Duration = Duration::from_secs(5);

/// The result of a stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// The number of mails without a result in the ledger; a sweep settles them as uncertain. 0 after a clean stop.
    pub abandoned: usize,
}

/// The tasks beside the loop, in the order in which they end.
pub(super) struct Tasks {
    pub(super) settler: JoinHandle<()>,
    pub(super) chores: JoinHandle<()>,
    pub(super) keeping: CancellationToken,
    pub(super) keeper: JoinHandle<()>,
}

impl Worker {
    /// Finishes or settles all started mails within `WARMUP_DRAIN_TIMEOUT_MS`.
    pub(super) async fn drain(mut self, results: ResultSender, tasks: Tasks) -> DrainReport {
        let Tasks { settler, chores, keeping, keeper } = tasks;
        self.liveness.set(Phase::Draining);
        let (budget, began) = (self.settings.drain_timeout, self.ports.clock.machine());
        tracing::info!(
            in_flight = self.unsettled.len(),
            queued = self.queue.len(),
            ?budget,
            "stopping: no more mails are started"
        );
        self.tracker.close();
        drop(results);
        self.finish(self.settings.mail_deadline.min(budget * 5 / 6)).await;
        if !self.tracker.is_empty() {
            tracing::warn!(in_flight = self.unsettled.len(), "stopping: the rest is cancelled");
            self.sending.cancel();
            self.finish(budget / 12).await;
        }
        // The settler gets the time that the mails left over, and at least a twelfth of the drain timeout.
        let left = budget.saturating_sub(self.ports.clock.machine().since(began)).max(budget / 12);
        self.wait_for("results to be written", settler, left).await;
        if self.connections.give_back_at().is_some() {
            let given_back = tokio::spawn(self.connections.give_back(&self.ports.caps));
            self.wait_for("connections to be given back", given_back, Duration::from_secs(3)).await;
        }
        self.wait_for("leadership to be given back", chores, Duration::from_secs(3)).await;
        keeping.cancel();
        self.wait_for("leases to be given back", keeper, Duration::from_secs(3)).await;
        let report = DrainReport { abandoned: self.unsettled.len() };
        tracing::info!(abandoned = report.abandoned, "stopped");
        report
    }

    /// Waits until no mail is in flight, for at most `most`, and logs the number of mails meanwhile.
    async fn finish(&mut self, most: Duration) {
        let clock = Arc::clone(&self.ports.clock);
        let tracker = self.tracker.clone();
        let deadline = clock.sleep(most);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                biased;
                () = tracker.wait() => return,
                () = &mut deadline => return,
                () = clock.sleep(SAY) => tracing::info!(in_flight = self.unsettled.len(), "stopping: waiting for mails on their way"),
                Some(_) = self.events.recv() => {}
            }
        }
    }

    async fn wait_for(&self, what: &str, task: JoinHandle<()>, most: Duration) {
        let abort = task.abort_handle();
        tokio::select! {
            biased;
            ended = task => if let Err(error) = ended { tracing::error!(%error, what, "a task ended badly") },
            () = self.ports.clock.sleep(most) => {
                tracing::error!(what, "stopping: not waiting any longer");
                abort.abort();
            }
        }
    }
}
