//! `Timeouts` limits each step of a dialogue and the whole mail, and ends the wait when the drain cancels.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{lease::MachineTime, outcome::classify::DialogueEnd},
    ports::Clock,
};

/// The limit of the greeting, in steps: a busy host greets late. With the default step of 30 s this is the five minutes
/// of RFC 5321 section 4.5.3.2.1; the mail's deadline ends the wait earlier.
const GREETING_STEPS: u32 = 10;

/// The divisor of a step for a pipelined reply: a host that drops commands of one packet never answers. A third of a
/// step leaves time for a second connection, on which each command has its whole step.
const PIPELINED_PART: u32 = 3;

/// `Timeouts` holds the limits of one dialogue: per step, for the whole mail, and the drain's cancellation.
pub(super) struct Timeouts {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) step: Duration,
    pub(super) deadline: MachineTime,
    pub(super) cancel: CancellationToken,
}

impl Timeouts {
    /// Waits for `work` for one step at most.
    pub(super) async fn step<T>(&self, work: impl Future<Output = T>) -> Result<T, DialogueEnd> {
        self.wait(self.step, work).await
    }

    /// Waits for the greeting for [`GREETING_STEPS`] steps at most.
    pub(super) async fn greeting<T>(&self, work: impl Future<Output = T>) -> Result<T, DialogueEnd> {
        self.wait(self.step * GREETING_STEPS, work).await
    }

    /// Waits for the reply to a pipelined command whose predecessor was answered, for a third of a step at most.
    pub(super) async fn pipelined<T>(&self, work: impl Future<Output = T>) -> Result<T, DialogueEnd> {
        self.wait(self.step / PIPELINED_PART, work).await
    }

    /// Waits for `work` for `limit` at most, or for the rest of the mail's time. A result that is ready at once counts,
    /// even if the time ends at that moment.
    pub(super) async fn wait<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, DialogueEnd> {
        let limit = limit.min(self.deadline.since(self.clock.machine()));
        tokio::select! {
            biased;
            done = timeout(limit, work) => done.map_err(|_elapsed| DialogueEnd::Timeout),
            () = self.cancel.cancelled() => Err(DialogueEnd::Cancelled),
        }
    }
}
