//! `Worker::reserve` reserves a batch in the ledger, in a task of its own, so that a slow ledger can't block a stop.
//!
//! If the stop comes before the answer, the loop continues with the drain, and the task releases the reserved mails.
//! Mails that it can't release were never started, and the next sweep settles them.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Worker, owned_shards::ShardGuard};
use crate::ports::{Ledger, PortError, Reservation, ReserveBatch};

type Answer = Result<Vec<Reservation>, PortError>;

impl Worker {
    /// Reserves `batch`; its shards stay guarded until the answer is handled. Returns `None` when the stop came before
    /// the answer; no mail of the batch may start then.
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
                // An answer that was already sent is used; the task handles a later one.
                answer.close();
                answer.try_recv().ok()
            }
        }
    }
}

/// Releases the mails of a reserve whose answer has no receiver.
async fn give_back(ledger: &dyn Ledger, batch: &ReserveBatch, answer: Answer) {
    if !matches!(answer, Ok(_) | Err(PortError::Unknown(_))) {
        return;
    }
    let asked: Vec<String> = batch.asks.iter().map(|ask| ask.message_id.clone()).collect();
    if let Err(error) = ledger.release(batch.run, &asked, batch.now).await {
        tracing::warn!(%error, "stopping: what was reserved last is left to the next sweep");
    }
}
