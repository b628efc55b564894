//! `ClockWatch` keeps a worker from steps that can't be undone while its day clock is wrong, and from sleeping until
//! instants that were computed by a wrong clock.
//!
//! The keeper compares the clock with the database's at each heartbeat (`domain/clock_guard.rs`); tick and duties ask
//! before they close days, drop partitions or settle orphans. The loop asks at each wake, at least once a heartbeat,
//! whether the day clock jumped; if it did, everything that waits for an instant of the day clock is due again.
//!
//! A clock of its own making (a demo, a simulation) is not compared: it is the fleet's clock.

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
    /// The last comparison with Redis' clock found too much.
    is_off_redis: bool,
    /// By how much it is off, in words, where no event is stored for it yet.
    unreported: Option<String>,
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

    /// Compares the day clock, which is `ahead` of Redis', with what is `allowed`. The keeper takes no shards meanwhile.
    pub(super) fn compare_redis(&self, ahead: TimeDelta, allowed: Duration) {
        let is_off =
            ahead.num_microseconds().is_none_or(|micros| Duration::from_micros(micros.unsigned_abs()) > allowed);
        let mut state = self.state();
        let was_off = std::mem::replace(&mut state.is_off_redis, is_off);
        if is_off && !was_off {
            state.unreported = Some(in_words(ahead, "Redis"));
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

    /// Returns by how much the clock is off, in words, where the next heartbeat stores an event.
    pub(super) fn unreported(&self) -> Option<String> {
        self.state().unreported.clone().filter(|_| self.clock.caps_now().is_none())
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

fn in_words(ahead: TimeDelta, server: &str) -> String {
    match ahead.num_seconds() {
        seconds @ ..0 => format!("{} s behind {server}", -seconds),
        seconds => format!("{seconds} s ahead of {server}"),
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
        self.paused_until = DateTime::<Utc>::MIN_UTC;
        self.batch_open_since = None;
        self.queue.forget_all();
        self.replies.forget_holds();
        self.lanes.wake(now);
    }
}
