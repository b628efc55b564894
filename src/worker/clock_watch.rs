//! `ClockWatch` blocks steps that can't be undone while the day clock is wrong, and ends waits that a wrong clock
//! computed.
//!
//! Membership compares the day clock with the database's at each heartbeat (`domain/clock_guard.rs`). The tick and the
//! maintenance runner check it before they close days, drop partitions or settle orphans. At each wake, at least once
//! per heartbeat, the loop checks whether the day clock jumped. If it did, everything that waits for a day-clock time
//! is due.
//!
//! A scaled or virtual clock (a demo, a simulation) is not compared, because it is the clock of the whole fleet.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::Worker;
use crate::{
    domain::clock_guard::{ALLOWED, ClockGuard, Reading, jump},
    ports::Clock,
};

/// The state of the day clock, shared by the membership, the loop and the maintenance runner.
pub(super) struct ClockWatch {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    guard: ClockGuard,
    /// The lead of the day clock over the database's clock, while it is too large.
    ahead: Option<TimeDelta>,
    /// True if the last comparison with the clock of Redis found too large a difference.
    is_off_redis: bool,
    /// The difference in words, until an event for it is stored.
    unreported: Option<String>,
    /// The reading at the last wake of the loop.
    last_loop_reading: Option<Reading>,
}

impl ClockWatch {
    pub(super) fn new(clock: Arc<dyn Clock>) -> ClockWatch {
        ClockWatch { clock, state: Mutex::default() }
    }

    fn reading(&self) -> Reading {
        Reading { day: self.clock.now(), machine: self.clock.machine() }
    }

    /// Compares the day clock with the database's clock, which a heartbeat has just read.
    pub(super) fn compare(&self, database: DateTime<Utc>) {
        let reading = self.reading();
        let mut state = self.state();
        let was_off = state.ahead.is_some();
        state.ahead = state.guard.compare(reading, database).err();
        match state.ahead {
            Some(ahead) if !was_off => {
                state.unreported = Some(in_words(ahead, "the database"));
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

    /// Records whether the day clock, which is `ahead` of Redis' clock, differs by more than `allowed`. The membership
    /// acquires no shards meanwhile.
    pub(super) fn compare_redis(&self, ahead: TimeDelta, allowed: Duration) {
        let is_off =
            ahead.num_microseconds().is_none_or(|micros| Duration::from_micros(micros.unsigned_abs()) > allowed);
        let mut state = self.state();
        let was_off = std::mem::replace(&mut state.is_off_redis, is_off);
        if is_off && !was_off {
            state.unreported = Some(in_words(ahead, "Redis"));
        }
    }

    /// Returns whether the day clock is reliable.
    pub(super) fn is_right(&self) -> bool {
        self.clock.caps_now().is_some() || self.state().guard.is_right(self.reading())
    }

    /// Returns whether the last comparison with the database found a difference that is too large.
    pub(super) fn is_off(&self) -> bool {
        self.clock.caps_now().is_none() && self.state().ahead.is_some()
    }

    /// Returns the difference in words if the next heartbeat must store an event for it.
    pub(super) fn unreported(&self) -> Option<String> {
        self.state().unreported.clone().filter(|_| self.clock.caps_now().is_none())
    }

    /// Records that the event is stored.
    pub(super) fn event_stored(&self) {
        self.state().unreported = None;
    }

    /// Returns whether the day clock jumped since the last call.
    fn has_jumped(&self) -> bool {
        let reading = self.reading();
        let before = self.state().last_loop_reading.replace(reading);
        self.clock.caps_now().is_none() && before.is_some_and(|before| jump(before, reading).abs() > ALLOWED)
    }

    /// Locks the state. A lock is poisoned only by a panic between plain writes.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_words(ahead: TimeDelta, server: &str) -> String {
    match ahead.num_seconds() {
        seconds @ ..0 => format!("{} s behind {server}", -seconds),
        seconds => format!("{seconds} s ahead of {server}"),
    }
}

impl Worker {
    /// Drops all times that were computed before a jump of the day clock. The next tick is due now. A jump alone starts
    /// no mail, because the tick plans anew and the ledger decides.
    pub(super) fn look_at_clock(&mut self) {
        if !self.clock_watch.has_jumped() {
            return;
        }
        tracing::warn!("this machine's day clock jumped: planning anew");
        let now = self.ports.clock.now();
        self.next_tick = now;
        self.paused_until = DateTime::<Utc>::MIN_UTC;
        self.batch_open_since = None;
        self.queue.forget_all();
        self.replies.forget_holds();
        self.lanes.wake(now);
    }
}
