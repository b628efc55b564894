//! `GrantBackoff` delays the next batch after thrown-away grants.
//!
//! A token that the caps granted is lost when its grant expires before the reserve is answered. While Postgres is slow,
//! every batch would lose its tokens so. The worker therefore waits longer after each such batch, and meanwhile asks with
//! one mail at a time. All times are on the machine clock, because the slowness of Postgres does not scale with the day.

use std::time::Duration;

use crate::domain::lease::MachineTime;

/// The wait after the first batch that was thrown away.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The upper bound of the wait: shorter than the 25 s within which sending resumes after an outage.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub(super) struct GrantBackoff {
    /// Batches that were thrown away since the last reserve that was answered in time.
    failures: u32,
    until: Option<MachineTime>,
}

impl GrantBackoff {
    /// Records that the grants of a batch expired at `now`. Each one in a row doubles the wait.
    pub(super) fn record_expired(&mut self, now: MachineTime) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(5)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now.after(wait));
    }

    /// Ends the backoff: the ledger answered in time.
    pub(super) fn reset(&mut self) {
        *self = GrantBackoff::default();
    }

    /// Returns the time before which no batch starts; `None` outside a backoff.
    pub(super) fn until(&self) -> Option<MachineTime> {
        self.until
    }

    /// Returns how many mails the next batch may contain: one while the ledger is not known to be fast again.
    pub(super) fn batch_limit(&self) -> usize {
        if self.failures == 0 { usize::MAX } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_batch_in_a_row_doubles_the_wait_up_to_its_bound() {
        let (mut backoff, now) = (GrantBackoff::default(), MachineTime(Duration::ZERO));
        assert_eq!((backoff.until(), backoff.batch_limit()), (None, usize::MAX));
        let mut waits = Vec::new();
        for _ in 0..7 {
            backoff.record_expired(now);
            waits.push(backoff.until().expect("a wait").since(now).as_millis());
        }
        assert_eq!((waits, backoff.batch_limit()), (vec![500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000], 1));
        backoff.reset();
        assert_eq!((backoff.until(), backoff.batch_limit()), (None, usize::MAX));
        backoff.record_expired(now);
        assert_eq!(backoff.until(), Some(now.after(FIRST_WAIT)));
    }
}
