//! Asking the ledger for places, without letting a ledger that hangs hold up a stop.
//!
//! The question is asked in a task of its own. Should the stop come before the answer, the loop goes on to the drain, and
//! the task gives back whatever it was given; what it can't give back any more is nobody's, never started, and swept.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Worker, owned_shards::ShardGuard};
use crate::ports::{Ledger, PortError, Reservation, ReserveBatch};

type Answer = Result<Vec<Reservation>, PortError>;

impl Worker {
    /// Reserves `batch`, whose shards are pledged until the answer has been dealt with. Returns `None` when the stop came
    /// before the answer: then nothing of it may be started.
    pub(super) async fn reserve(&self, batch: ReserveBatch, pledge: &Arc<ShardGuard>) -> Option<Answer> {
        let (heard, mut answer) = oneshot::channel();
        let (ledger, pledge) = (Arc::clone(&self.ports.ledger), Arc::clone(pledge));
        self.tracker.spawn(async move {
            let reserved = ledger.reserve(&batch).await;
            if let Err(unheard) = heard.send(reserved) {
                give_back(&*ledger, &batch, unheard).await;
            }
            drop(pledge);
        });
        tokio::select! {
            biased;
            answered = &mut answer => answered.ok(),
            () = self.intake.cancelled() => {
                // An answer that was sent meanwhile is ours; one that comes later goes back to its task.
                answer.close();
                answer.try_recv().ok()
            }
        }
    }
}

/// Gives back what a reserve that nobody waits for has opened.
async fn give_back(ledger: &dyn Ledger, batch: &ReserveBatch, answer: Answer) {
    if !matches!(answer, Ok(_) | Err(PortError::Unknown(_))) {
        return;
    }
    let asked: Vec<String> = batch.asks.iter().map(|ask| ask.message_id.clone()).collect();
    if let Err(error) = ledger.release(batch.run, &asked, batch.now).await {
        tracing::warn!(%error, "stopping: what was reserved last is left to the next sweep");
    }
}
