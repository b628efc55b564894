//! `Settler` writes the results of mails to the ledger, with one statement per batch.
//!
//! It writes a batch when its last mail is finished, or when its first result has waited for [`LINGER`]. So a batch
//! costs one statement, and a slow mail does not keep the other results of its batch in memory. While Postgres is away
//! the results wait here, and the loop starts no mail; their number is therefore limited by the lanes. Results that
//! Postgres refuses permanently are settled one by one (`refused.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, mpsc};

use super::{Event, Ports, Settled, pause_until_some, refused::RefusedResults, set_back::SetBackWatch};
use crate::{
    domain::{
        id::{BatchId, FlightId, ShardId, WorkerId},
        outcome::OutcomeKind,
    },
    observe::{liveness::Liveness, mail_spans::MailSpan},
    ports::{Flight, PortError, Settlement, entropy::Purpose},
};

/// The maximum wait of a result for the others of its batch. Machine clock.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// The in-flight mails of this run: reserved and not settled.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    flights: Mutex<Flights>,
    stuck: AtomicBool,
    newest: AtomicI64,
}

#[derive(Debug, Default)]
struct Flights {
    /// The in-flight mails by Message-ID, because a database that was set back may give a flight id twice.
    all: BTreeMap<String, InFlightMail>,
    /// The number of mails without a result, for each batch that has any.
    open: BTreeMap<BatchId, usize>,
}

#[derive(Clone, Copy, Debug)]
struct InFlightMail {
    batch: BatchId,
    shard: ShardId,
    finished: bool,
}

impl InFlight {
    pub(super) fn started(&self, flight: &Flight) {
        let Flight { id, batch, shard, .. } = *flight;
        let mut flights = self.lock();
        flights.all.insert(flight.message_id.clone(), InFlightMail { batch, shard, finished: false });
        *flights.open.entry(batch).or_default() += 1;
        drop(flights);
        self.newest.fetch_max(id.0, Ordering::Relaxed);
    }

    /// Returns the highest flight id that this run has started; 0 if it has started none.
    pub(super) fn newest(&self) -> FlightId {
        FlightId(self.newest.load(Ordering::Relaxed))
    }

    /// Returns the Message-IDs of in-flight mails, which a sweep must not settle.
    pub(super) fn running(&self) -> Vec<String> {
        self.lock().all.keys().cloned().collect()
    }

    /// Returns the shards with in-flight mails.
    pub(super) fn shards(&self) -> BTreeSet<ShardId> {
        self.lock().all.values().map(|flying| flying.shard).collect()
    }

    /// Returns the number of mails without a result.
    pub(super) fn flying(&self) -> usize {
        self.lock().open.values().sum()
    }

    /// Returns the number of unsettled mails.
    pub(super) fn len(&self) -> usize {
        self.lock().all.len()
    }

    /// Returns whether results can't be written at the moment.
    pub(super) fn is_blocked(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Marks a mail as finished and returns whether its batch is finished.
    fn finish(&self, message_id: &str, batch: BatchId) -> bool {
        let mut flights = self.lock();
        let Flights { all, open } = &mut *flights;
        if let Some(flying) = all.get_mut(message_id).filter(|flying| !flying.finished)
            && let Some(left) = open.get_mut(&flying.batch)
        {
            flying.finished = true;
            *left -= 1;
            if *left == 0 {
                open.remove(&flying.batch);
            }
        }
        !open.contains_key(&batch)
    }

    /// Returns whether the batch of any of `results` is finished.
    fn is_any_complete(&self, results: &[Settlement]) -> bool {
        let flights = self.lock();
        results.iter().any(|result| !flights.open.contains_key(&result.batch))
    }

    fn settled(&self, results: &[Settlement]) {
        let mut flights = self.lock();
        for result in results {
            flights.all.remove(&result.mail.message_id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Flights> {
        // A lock is poisoned only by a panic between two plain writes, so the maps are complete.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A `ResultSender` sends results to the settler. When its last clone is dropped, the settler writes the rest and ends.
#[derive(Clone, Debug)]
pub(super) struct ResultSender {
    push: mpsc::UnboundedSender<MailResult>,
    unsettled: Arc<InFlight>,
    complete: Arc<Notify>,
}

/// A result, and the span of its mail if traces are recorded.
type MailResult = (Settlement, Option<MailSpan>);

impl ResultSender {
    pub(super) fn push(&self, result: Settlement, trail: Option<MailSpan>) {
        // Before the send, because the settler may settle the result before the next line runs.
        let is_complete = self.unsettled.finish(&result.mail.message_id, result.batch);
        if self.push.send((result, trail)).is_err() {
            tracing::error!("a result came after the settler ended: the next sweep settles it as uncertain");
        }
        if is_complete {
            self.complete.notify_one();
        }
    }
}

/// The results of one statement.
#[derive(Debug, Default)]
struct SettleBatch {
    results: Vec<Settlement>,
    trails: Vec<MailSpan>,
}

impl SettleBatch {
    fn push(&mut self, (result, trail): MailResult) {
        self.results.push(result);
        self.trails.extend(trail);
    }
}

/// A `Settler` receives the results of all deliveries and writes them in batches.
pub(super) struct Settler {
    pub(super) ports: Ports,
    worker: WorkerId,
    unsettled: Arc<InFlight>,
    set_back: Arc<SetBackWatch>,
    results: mpsc::UnboundedReceiver<MailResult>,
    /// Notified when a batch is complete.
    complete: Arc<Notify>,
    events_tx: mpsc::UnboundedSender<Event>,
    /// The results that Postgres refuses in every form.
    pub(super) refused: RefusedResults,
    liveness: Arc<Liveness>,
}

impl Settler {
    pub(super) fn new(
        ports: Ports,
        worker: WorkerId,
        unsettled: Arc<InFlight>,
        set_back: Arc<SetBackWatch>,
        tell: mpsc::UnboundedSender<Event>,
        liveness: Arc<Liveness>,
    ) -> (Settler, ResultSender) {
        let ((push, results), complete) = (mpsc::unbounded_channel(), Arc::new(Notify::new()));
        let handed_in = ResultSender { push, unsettled: Arc::clone(&unsettled), complete: Arc::clone(&complete) };
        let refused = RefusedResults::default();
        (
            Settler { ports, worker, unsettled, set_back, results, complete, events_tx: tell, refused, liveness },
            handed_in,
        )
    }

    /// Writes results until the last `ResultSender` is dropped and all results are written.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.next().await {
            let mut finished = SettleBatch::default();
            finished.push(first);
            self.collect(&mut finished).await;
            self.write(finished).await;
        }
        self.write_refused(true).await;
        if self.refused.len() > 0 {
            tracing::error!(
                results = self.refused.len(),
                "the database took some results in no form: the next sweep settles them as uncertain"
            );
        }
    }

    /// Waits for a result, and retries refused results meanwhile.
    async fn next(&mut self) -> Option<MailResult> {
        loop {
            let clock = Arc::clone(&self.ports.clock);
            tokio::select! {
                biased;
                () = pause_until_some(&*clock, self.refused.next_at()) => {}
                first = self.results.recv() => return first,
            }
            self.write_refused(false).await;
        }
    }

    async fn write_refused(&mut self, all: bool) {
        let written = self.retry_refused(all).await;
        self.forget(written);
    }

    /// Waits until the batch of any result is complete, or the first result has waited for [`LINGER`]. A single result
    /// does not wake it.
    async fn collect(&mut self, finished: &mut SettleBatch) {
        let clock = Arc::clone(&self.ports.clock);
        let patience = clock.sleep(LINGER);
        tokio::pin!(patience);
        while !self.unsettled.is_any_complete(&finished.results) {
            tokio::select! {
                biased;
                () = self.complete.notified() => self.take_all(finished),
                () = &mut patience => break,
            }
        }
        self.take_all(finished);
    }

    fn take_all(&mut self, finished: &mut SettleBatch) {
        while let Ok(result) = self.results.try_recv() {
            finished.push(result);
        }
    }

    /// Repeats the statement until the results are written or stored as refused; none is dropped.
    async fn write(&mut self, finished: SettleBatch) {
        let SettleBatch { results, trails } = finished;
        let (mut tries, mut asked, mut refused) = (0, self.ports.clock.machine(), Vec::new());
        while let Err(error) = self.settle(&results).await {
            // Also during the settlement one by one: until one result is written, it is unknown whether any can be.
            self.unsettled.stuck.store(true, Ordering::Relaxed);
            let error = match error {
                PortError::Permanent(_) => match self.settle_each(&results).await {
                    Ok(in_no_form) => {
                        refused = in_no_form;
                        break;
                    }
                    Err(error) => error,
                },
                error => error,
            };
            tries += 1;
            tracing::warn!(%error, results = results.len(), tries, "results wait in memory");
            self.ports.clock.sleep(self.backoff(tries)).await;
            self.write_refused(false).await;
            asked = self.ports.clock.machine();
        }
        self.unsettled.stuck.store(false, Ordering::Relaxed);
        let done = self.ports.clock.machine();
        trails.into_iter().for_each(|trail| trail.settled(asked, done));
        let is_written = |result: &Settlement| refused.iter().all(|kept| kept.flight != result.flight);
        let written = results.into_iter().filter(is_written).collect();
        self.refused.keep(refused, done);
        self.forget(written);
    }

    /// Removes the written results from the in-flight mails, and reports them to the loop.
    fn forget(&self, results: Vec<Settlement>) {
        self.liveness.keep_results(self.refused.len());
        self.unsettled.settled(&results);
        let settled = |result: Settlement| Settled {
            mailbox: result.mailbox,
            next_at: result.next_at,
            stopped: result.outcome.effects.sender.is_some(),
            unstarted: result.outcome.fate == OutcomeKind::Unstarted,
        };
        let _ = self.events_tx.send(Event::Settled(results.into_iter().map(settled).collect()));
    }

    /// Settles the results, and again if a flight was not found: a sweep may have written its row since the statement
    /// began.
    pub(super) async fn settle(&self, finished: &[Settlement]) -> Result<(), PortError> {
        let changed = self.ports.ledger.settle(&self.worker, finished).await?;
        let missing = (finished.len() as u64).saturating_sub(changed);
        if missing == 0 || self.ports.ledger.settle(&self.worker, finished).await? >= missing {
            self.set_back.record_settled(finished);
            return Ok(());
        }
        // The missing results were settled before, or the database was set back.
        let fenced = |result: &Settlement| self.set_back.is_fenced(result.flight);
        let (fenced, others): (Vec<_>, Vec<_>) = finished.iter().cloned().partition(fenced);
        let late = self.log_lost(&fenced).await?;
        if late > 0 {
            tracing::warn!(mails = late, "rows of mails that were sent before the fence, and lost, were written late");
        }
        let lost = self.log_lost(&others).await?;
        if lost > 0 {
            self.set_back.recognize(&format!("it had lost {lost} mails of this worker, whose rows were written late"));
        }
        Ok(())
    }

    async fn log_lost(&self, results: &[Settlement]) -> Result<u64, PortError> {
        match results {
            [] => Ok(0),
            results => self.ports.ledger.log_lost(&self.worker, results, self.ports.clock.now()).await,
        }
    }

    fn backoff(&self, tries: u32) -> Duration {
        let most = 100u64 << tries.min(5);
        Duration::from_millis(self.ports.entropy.between(Purpose::Backoff, 0, most / 2, most))
    }
}
