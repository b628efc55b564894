//! `SetBackWatch` detects a database that was set back to an earlier state, before the worker relies on it for a mail.
//!
//! Marks of the database's progress are stored here and in Redis (`domain/ledger_mark.rs`). The worker compares them at
//! its start and at each heartbeat, before it renews or claims shards. Two more signs are a reserve that returns a
//! flight id again, and a result that the database does not know. After a sign the worker starts no mail and stops the
//! fleet by order. Only a new fence by the operator ends this state.
//!
//! If Redis has lost the marks too, the worker compares only its own observations. The mark of another worker is at
//! most one heartbeat old.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Ports, WorkerSettings};
use crate::{
    domain::{
        id::FlightId,
        ledger_mark::{LedgerMark, LedgerState, SettledMail},
        outcome::OutcomeKind,
    },
    ports::{Notification, PortError, Settlement},
};

/// The next steps for the operator, as the end of the message.
const NEXT_STEPS: &str = "run `warmup fleet fence`, then `warmup fleet start --after-restore`";

#[derive(Debug, Default)]
struct State {
    known: LedgerMark,
    /// True after the fleet's mark was read from Redis.
    is_informed: bool,
    recognized: Option<String>,
    /// True after the stop order was stored in the database.
    is_reported: bool,
    /// The last flight id from before the last fence.
    fenced_flight: i64,
}

/// A `SetBackWatch` is shared by the membership, the loop and the settler.
#[derive(Debug, Default)]
pub(super) struct SetBackWatch(Mutex<State>);

impl SetBackWatch {
    /// Returns the sign of the set-back and the next steps; `None` while the database is trusted.
    pub(super) fn recognized(&self) -> Option<String> {
        self.lock().recognized.clone()
    }

    /// Records `how` as the sign of a set-back.
    pub(super) fn recognize(&self, how: &str) {
        let mut state = self.lock();
        if state.recognized.is_none() {
            let sentence = format!("the database was set back: {how}; {NEXT_STEPS}");
            tracing::warn!("{sentence}");
            state.recognized = Some(sentence);
        }
    }

    /// Returns the highest known flight id. The caller reads it before a reserve, because ids that other workers
    /// reserve meanwhile must not look like a loss.
    pub(super) fn newest_flight(&self) -> i64 {
        self.lock().known.flight
    }

    /// Records the flights that a reserve returned. Returns false, and records a set-back, if an id is not above
    /// `known`, the highest id before the reserve.
    pub(super) fn record_flights(&self, known: i64, flights: impl Iterator<Item = FlightId> + Clone) -> bool {
        let ids = flights.map(|flight| flight.0);
        let (oldest, newest) = (ids.clone().min(), ids.max());
        if let Some(repeated) = oldest.filter(|oldest| *oldest <= known) {
            self.recognize(&format!("it hands out the id {repeated} again, after {known}"));
            return false;
        }
        let mut state = self.lock();
        state.known.flight = state.known.flight.max(newest.unwrap_or(known));
        true
    }

    /// Returns whether a flight is from before the last fence. The operator has handled that set-back, so a database
    /// that does not know the flight is no new sign.
    pub(super) fn is_fenced(&self, flight: FlightId) -> bool {
        flight.0 <= self.lock().fenced_flight
    }

    /// Records results whose own rows were acknowledged in their settlement.
    pub(super) fn record_settled(&self, results: &[Settlement]) {
        let logged = results.iter().rev().find(|result| result.outcome.fate != OutcomeKind::Unstarted);
        let settled = logged.map(|result| SettledMail {
            day: result.day,
            log_id: result.flight.0,
            message_id: result.mail.message_id.clone(),
        });
        if settled.is_some() {
            self.lock().known.settled = settled;
        }
    }

    /// Compares the database with the marks, stores the marks in Redis, and stops the fleet after a set-back.
    pub(super) async fn check(&self, ports: &Ports, settings: &WorkerSettings) -> Result<(), PortError> {
        let identity = settings.fleet.lineage();
        if !self.lock().is_informed {
            let kept = ports.members.merge_mark(identity, &LedgerMark::default()).await?;
            let mut state = self.lock();
            state.known.merge(kept);
            state.is_informed = true;
        }
        // Read before the database, because ids that other workers reserve meanwhile must not look like a loss.
        let known = self.lock().known.clone();
        let found = ports.ledger.state(known.settled.as_ref()).await?;
        self.compare(&known, &found);
        if let Some(sentence) = self.recognized() {
            return self.report(ports, settings, &sentence).await;
        }
        let mark = self.lock().known.clone();
        match ports.members.merge_mark(identity, &mark).await {
            Ok(merged) => self.lock().known.merge(merged),
            Err(error) => tracing::debug!(%error, "the mark of the database is not shared"),
        }
        Ok(())
    }

    fn compare(&self, known: &LedgerMark, found: &LedgerState) {
        if let Some(how) = known.set_back(found) {
            return self.recognize(&how);
        }
        let mut state = self.lock();
        if found.fence > state.known.fence {
            (state.recognized, state.is_reported) = (None, false);
            state.fenced_flight = found.flight;
        }
        state.known.advance(found);
    }

    /// Stops the fleet by order, once per set-back.
    async fn report(&self, ports: &Ports, settings: &WorkerSettings, sentence: &str) -> Result<(), PortError> {
        if self.lock().is_reported {
            return Ok(());
        }
        ports.orders.stop_set_back(&settings.worker, sentence, ports.clock.now()).await?;
        self.lock().is_reported = true;
        if let Err(error) = ports.bell.ring(Notification::Ordered).await {
            tracing::debug!(%error, "the other workers hear of it at their next heartbeat");
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A lock is poisoned only by a panic between two plain writes, so the state is complete.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_handed_out_again_shows_a_set_back() {
        let watch = SetBackWatch::default();
        let record = |known, ids: &[i64]| watch.record_flights(known, ids.iter().copied().map(FlightId));
        assert!(record(0, &[1, 2]) && record(watch.newest_flight(), &[3]));
        assert_eq!((watch.newest_flight(), watch.recognized()), (3, None));
        assert!(!record(watch.newest_flight(), &[3, 4]));
        assert!(watch.recognized().is_some_and(|how| how.contains("it hands out the id 3 again, after 3")));
    }

    /// The result of a slow mail may come after the fence, and must not stop the fleet again.
    #[test]
    fn a_mail_from_before_a_fence_shows_no_other_set_back() {
        let watch = SetBackWatch::default();
        let state = |fence, flight| LedgerState { fence, flight, has_settled: true, ..LedgerState::default() };
        watch.compare(&LedgerMark::default(), &state(0, 10));
        assert!(!watch.is_fenced(FlightId(10)));
        watch.compare(&LedgerMark { flight: 10, ..LedgerMark::default() }, &state(0, 7));
        assert!(watch.recognized().is_some());
        watch.compare(&LedgerMark { flight: 10, ..LedgerMark::default() }, &state(1, 1_000));
        assert_eq!(watch.recognized(), None);
        assert!(watch.is_fenced(FlightId(10)) && !watch.is_fenced(FlightId(1_001)));
    }
}
