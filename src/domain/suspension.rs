//! When a worker whose ticks fail stops scheduling, and when it tries again.
//!
//! ```text
//!            five in a row fail               a probe works             a tick works
//!   working ────────────────────▶ benched ────────────────▶ on trial ────────────────▶ working
//!                                  ▲   ▲ │ one fails: later   │
//!                                  │   └─┘                    │ a tick fails: later
//!                                  └──────────────────────────┘
//! ```
//!
//! A benched worker holds no shard, so that others serve its mailboxes meanwhile. A probe only reads; whether ticks work
//! again is known after the first of them, so until then one failure is enough, and the waits go on growing: a worker
//! whose probes work and whose ticks do not takes shards once a minute, not once a second.

use std::time::Duration;

/// So many ticks in a row must fail: a service that is away for a moment costs nothing but the wait for it.
const ENOUGH: u32 = 5;

/// The wait before the first probe; it doubles with each that fails.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between two probes.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspension {
    /// Ticks that failed in a row.
    failures: u32,
    state: State,
    /// Attempts to come back that failed.
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
    /// Notes a tick that worked.
    pub fn tick_worked(&mut self) {
        *self = Suspension::default();
    }

    /// Notes a tick that failed. Returns whether the worker is benched by it.
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

    /// Notes a probe that worked: the next tick decides.
    pub fn probe_worked(&mut self) {
        self.state = State::HalfOpen;
    }

    /// Notes a probe that failed.
    pub fn probe_failed(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Forgets how often it was tried in vain: somebody says that it is worth another attempt.
    pub fn reset_backoff(&mut self) {
        self.attempts = 0;
    }

    /// Says whether nothing is to be scheduled.
    pub fn is_benched(&self) -> bool {
        self.state == State::Open
    }

    /// Returns how many ticks failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns how long to wait before the next probe, at most `most`.
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
