//! `Suspension` decides when a worker with failing ticks stops scheduling, and when it tries again.
//!
//! ```text
//!            5 failures in a row           a probe succeeds            a tick succeeds
//!   Closed ──────────────────────▶ Open ────────────────────▶ HalfOpen ────────────────▶ Closed
//!                                  ▲  ▲ │ a probe fails: wait longer │
//!                                  │  └─┘                            │ a tick fails: wait longer
//!                                  └─────────────────────────────────┘
//! ```
//!
//! A suspended worker owns no shard, so that other workers serve its mailboxes meanwhile. A probe only reads;
//! only the first tick after it shows that ticks work again. Until then one failure is enough to suspend
//! again, and the waits continue to grow. So a worker with good probes and bad ticks takes shards once a
//! minute, not once a second.

use std::time::Duration;

/// The failures in a row that suspend a worker. A short outage of a service costs only the wait for it.
const ENOUGH: u32 = 5;

/// The wait before the first probe; it doubles with each failed probe.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between two probes.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The suspension state of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspension {
    /// The ticks that failed in a row.
    failures: u32,
    state: State,
    /// The failed attempts to end the suspension.
    attempts: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open,
    HalfOpen,
}

impl Suspension {
    /// Records a successful tick.
    pub fn tick_worked(&mut self) {
        *self = Suspension::default();
    }

    /// Records a failed tick. Returns true if the failure suspends the worker.
    pub fn tick_failed(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        let benched = match self.state {
            State::Closed => self.failures >= ENOUGH,
            State::HalfOpen => {
                self.attempts = self.attempts.saturating_add(1);
                true
            }
            State::Open => false,
        };
        if benched {
            self.state = State::Open;
        }
        benched
    }

    /// Records a successful probe: the next tick decides.
    pub fn probe_worked(&mut self) {
        self.state = State::HalfOpen;
    }

    /// Records a failed probe.
    pub fn probe_failed(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Resets the count of failed attempts, because a caller requests another attempt now.
    pub fn reset_backoff(&mut self) {
        self.attempts = 0;
    }

    /// Returns true if the worker schedules nothing.
    pub fn is_benched(&self) -> bool {
        self.state == State::Open
    }

    /// Returns the number of ticks that failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns the wait before the next probe, at most `most`.
    pub fn wait(&self, most: Duration) -> Duration {
        FIRST_WAIT.saturating_mul(1 << self.attempts.min(6)).min(LONGEST_WAIT).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn benched() -> Suspension {
        let mut bench = Suspension::default();
        let answers: Vec<bool> = (0..5).map(|_| bench.tick_failed()).collect();
        assert_eq!(answers, [false, false, false, false, true]);
        bench
    }

    #[test]
    fn the_fifth_failure_in_a_row_benches_and_four_do_not() {
        assert!(benched().is_benched());
        let mut bench = Suspension::default();
        for _ in 0..100 {
            (0..4).for_each(|_| assert!(!bench.tick_failed()));
            bench.tick_worked();
        }
        assert!(!bench.is_benched());
    }

    #[test]
    fn waits_double_from_a_second_to_a_minute_and_never_pass_what_is_asked() {
        let mut bench = benched();
        let mut waits = Vec::new();
        for _ in 0..8 {
            waits.push(bench.wait(LONGEST_WAIT).as_secs());
            bench.probe_failed();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(bench.wait(Duration::from_secs(5)), Duration::from_secs(5));
        bench.reset_backoff();
        assert_eq!(bench.wait(LONGEST_WAIT), Duration::from_secs(1));
    }

    #[test]
    fn on_trial_one_failure_is_enough_and_the_wait_goes_on_growing() {
        let mut bench = benched();
        for wait in [1, 2, 4, 8] {
            assert_eq!(bench.wait(LONGEST_WAIT).as_secs(), wait);
            bench.probe_worked();
            assert!(!bench.is_benched() && bench.tick_failed() && bench.is_benched());
        }
        bench.probe_worked();
        bench.tick_worked();
        assert_eq!(bench, Suspension::default());
    }
}
