//! How long each step of a dialogue may take, and what ends the waiting.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{lease::MachineTime, outcome::classify::DialogueEnd},
    ports::Clock,
};

/// A busy host greets late. With the default of 30 s for a step these are the five minutes of RFC 5321 section
/// 4.5.3.2.1; the mail's deadline ends them earlier.
const GREETING_STEPS: u32 = 10;

/// A host that drops what comes in one packet never answers. A third of a step leaves time for a second connection, on which
/// each command has its whole step.
const PIPELINED_PART: u32 = 3;

/// The patience of one dialogue: a limit for each step, one for the whole mail, and the drain's last word.
pub(super) struct Timeouts {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) step: Duration,
    pub(super) deadline: MachineTime,
    pub(super) cancel: CancellationToken,
}

impl Timeouts {
    /// Waits for `work`, for one step at most.
    pub(super) async fn step<T>(&self, work: impl Future<Output = T>) -> Result<T, DialogueEnd> {
        self.wait(self.step, work).await
    }

    /// Waits for the greeting: it has [`GREETING_STEPS`] steps.
    pub(super) async fn greeting<T>(&self, work: impl Future<Output = T>) -> Result<T, DialogueEnd> {
        self.wait(self.step * GREETING_STEPS, work).await
    }

    /// Waits for a reply to a command that came in one packet with the one before it, which was answered.
    pub(super) async fn pipelined<T>(&self, work: impl Future<Output = T>) -> Result<T, DialogueEnd> {
        self.wait(self.step / PIPELINED_PART, work).await
    }

    /// Waits for `work` for `limit` at most, or what is left of the mail's time. What is ready at once counts, even
    /// when the patience ends at the same moment.
    pub(super) async fn wait<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, DialogueEnd> {
        let limit = limit.min(self.deadline.since(self.clock.machine()));
        tokio::select! {
            biased;
            done = timeout(limit, work) => done.map_err(|_elapsed| DialogueEnd::Timeout),
            () = self.cancel.cancelled() => Err(DialogueEnd::Cancelled),
        }
    }
}
