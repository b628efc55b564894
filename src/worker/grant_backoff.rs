//! `GrantBackoff` delays the next batch after expired grants.
//!
//! The token of a grant is lost if the grant expires before the reserve is answered. While Postgres is slow, every
//! batch would lose its tokens like this. After each such batch the worker therefore waits longer, and then asks with
//! one mail. Each answer in time doubles the batch. All times are on the machine clock, because the delay of Postgres
//! does not scale with the day clock.

use std::time::Duration;

use crate::domain::lease::MachineTime;

/// The wait after the first batch with expired grants.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The upper bound of the wait: shorter than the 25 s within which sending resumes after an outage.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// The time between two warnings of expired grants. They come every few seconds while Postgres is slow.
const WARN_EVERY: Duration = Duration::from_mins(10);

/// The upper bound of the batch limit; beyond it there is no limit. No worker has more lanes by default.
const LARGEST_LIMIT: usize = 32;

/// The wait and the batch limit after expired grants.
#[derive(Debug, Default)]
pub(super) struct GrantBackoff {
    /// The number of batches with expired grants since the last reserve in time.
    failures: u32,
    until: Option<MachineTime>,
    /// The maximum number of mails in the next batch; `None` if the ledger is fast.
    limit: Option<usize>,
    warned_at: Option<MachineTime>,
}

impl GrantBackoff {
    /// Records that the grants of a batch expired at `now`. Each such batch in a row doubles the wait. Returns whether
    /// to log a warning: for the first batch, and then once in ten minutes.
    pub(super) fn record_expired(&mut self, now: MachineTime) -> bool {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(5)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        (self.until, self.limit) = (Some(now.after(wait)), Some(1));
        let is_warning = self.warned_at.is_none_or(|warned_at| now.since(warned_at) >= WARN_EVERY);
        if is_warning {
            self.warned_at = Some(now);
        }
        is_warning
    }

    /// Ends the wait after an answer in time, and doubles the batch.
    pub(super) fn reset(&mut self) {
        let limit = self.limit.map(|limit| 2 * limit).filter(|limit| *limit <= LARGEST_LIMIT);
        *self = GrantBackoff { limit, warned_at: self.warned_at, ..GrantBackoff::default() };
    }

    /// Returns the time before which no batch starts; `None` outside a backoff.
    pub(super) fn until(&self) -> Option<MachineTime> {
        self.until
    }

    /// Returns the maximum number of mails in the next batch.
    pub(super) fn batch_limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
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
        let mut limits = Vec::new();
        for _ in 0..6 {
            backoff.reset();
            limits.push(backoff.batch_limit());
        }
        assert_eq!((backoff.until(), limits), (None, vec![2, 4, 8, 16, 32, usize::MAX]));
        backoff.record_expired(now);
        assert_eq!(backoff.until(), Some(now.after(FIRST_WAIT)));
    }

    #[test]
    fn the_first_expired_batch_is_a_warning_and_later_ones_every_ten_minutes() {
        let (mut backoff, at) = (GrantBackoff::default(), |seconds| MachineTime(Duration::from_secs(seconds)));
        let first: Vec<bool> = [0, 1, 599].map(|seconds| backoff.record_expired(at(seconds))).to_vec();
        backoff.reset();
        let later: Vec<bool> = [599, 600, 601].map(|seconds| backoff.record_expired(at(seconds))).to_vec();
        assert_eq!((first, later), (vec![true, false, false], vec![false, true, false]));
    }
}
