//! `ClockWatch` keeps a worker from steps that can't be undone while its day clock is wrong, and from sleeping until
//! instants that were computed by a wrong clock.
//!
//! The keeper compares the clock with the database's at each heartbeat (`domain/clock_guard.rs`); tick and duties ask
//! before they close days, drop partitions or settle orphans. The loop asks at each wake, at least once a heartbeat,
//! whether the day clock jumped; if it did, everything that waits for an instant of the day clock is due again.
//!
//! A clock of its own making (a demo, a simulation) is not compared: it is the fleet's clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::Worker;
use crate::{
    domain::clock_guard::{ALLOWED, ClockGuard, Reading, jump},
    ports::Clock,
};

/// Shared by keeper, loop and duties.
pub(super) struct ClockWatch {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    guard: ClockGuard,
    /// By how much the day clock is ahead of the database's, while that is too much.
    ahead: Option<TimeDelta>,
    /// The offset in seconds for which no event is stored yet.
    unreported: Option<i64>,
    /// The last reading of the loop.
    last_loop_reading: Option<Reading>,
}

impl ClockWatch {
    pub(super) fn new(clock: Arc<dyn Clock>) -> ClockWatch {
        ClockWatch { clock, state: Mutex::default() }
    }

    fn reading(&self) -> Reading {
        Reading { day: self.clock.now(), machine: self.clock.machine() }
    }

    /// Compares the day clock with the database's, which a heartbeat has just read.
    pub(super) fn compare(&self, database: DateTime<Utc>) {
        let reading = self.reading();
        let mut state = self.state();
        let was_off = state.ahead.is_some();
        state.ahead = state.guard.compare(reading, database).err();
        match state.ahead {
            Some(ahead) if !was_off => {
                state.unreported = Some(ahead.num_seconds());
                tracing::warn!(
                    seconds_ahead = ahead.num_seconds(),
                    "this machine's clock and Postgres' disagree: no day is closed and no daily duty is done here until \
                     they agree; check NTP on both machines"
                );
            }
            None if was_off => tracing::info!("this machine's clock agrees with Postgres' again"),
            _ => {}
        }
    }

    /// Returns whether the day clock may be relied on.
    pub(super) fn is_right(&self) -> bool {
        self.clock.caps_now().is_some() || self.state().guard.is_right(self.reading())
    }

    /// Returns whether the last comparison found the day clock off.
    pub(super) fn is_off(&self) -> bool {
        self.clock.caps_now().is_none() && self.state().ahead.is_some()
    }

    /// Returns the offset, in seconds, for which the next heartbeat stores an event.
    pub(super) fn unreported_seconds(&self) -> Option<i64> {
        self.state().unreported.filter(|_| self.clock.caps_now().is_none())
    }

    /// Notes that the event is stored.
    pub(super) fn event_stored(&self) {
        self.state().unreported = None;
    }

    /// Returns whether the day clock jumped since the last call.
    fn has_jumped(&self) -> bool {
        let reading = self.reading();
        let before = self.state().last_loop_reading.replace(reading);
        self.clock.caps_now().is_none() && before.is_some_and(|before| jump(before, reading).abs() > ALLOWED)
    }

    /// Poisoned only by a panic between plain writes.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// Takes back what was computed by a clock that has been set since: the next tick is due now, and nothing waits for
    /// an instant of the old clock. Nothing is started by that alone: the tick plans anew, and the ledger decides.
    pub(super) fn look_at_clock(&mut self) {
        if !self.clock_watch.has_jumped() {
            return;
        }
        tracing::warn!("this machine's day clock jumped: planning anew");
        let now = self.ports.clock.now();
        self.next_tick = now;
        self.not_before = DateTime::<Utc>::MIN_UTC;
        self.gathering = None;
        self.queue.forget_all();
        self.replies.forget_holds();
        self.lanes.wake(now);
    }
}
