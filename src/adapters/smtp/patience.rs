//! How long each step of a dialogue may take, and what ends the waiting.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{lease::MachineTime, outcome::judge::Evidence},
    ports::Clock,
};

/// The patience of one dialogue: a limit for each step, one for the whole mail, and the drain's last word.
pub(super) struct Patience {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) step: Duration,
    pub(super) deadline: MachineTime,
    pub(super) cancel: CancellationToken,
}

impl Patience {
    /// Waits for `work`, for one step at most.
    pub(super) async fn step<T>(&self, work: impl Future<Output = T>) -> Result<T, Evidence> {
        self.wait(self.step, work).await
    }

    /// Waits for `work` for `limit` at most, or what is left of the mail's time. What is ready at once counts, even
    /// when the patience ends at the same moment.
    pub(super) async fn wait<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Result<T, Evidence> {
        let limit = limit.min(self.deadline.since(self.clock.machine()));
        tokio::select! {
            biased;
            done = timeout(limit, work) => done.map_err(|_elapsed| Evidence::Timeout),
            () = self.cancel.cancelled() => Err(Evidence::Cancelled),
        }
    }
}
