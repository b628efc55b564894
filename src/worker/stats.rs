//! `WorkerStats` stores the figures of the loop that the heartbeat reports to the fleet.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use chrono::{DateTime, Utc};

/// The figures of the loop. The loop writes them and the membership reads them. Each is independent, so their order
/// does not matter.
#[derive(Debug)]
pub(super) struct WorkerStats {
    queued: AtomicUsize,
    last_tick_micros: AtomicI64,
    failures: AtomicU32,
    strangers: AtomicBool,
    refused_since_micros: AtomicI64,
    grants_expired: AtomicU64,
}

const NEVER: i64 = i64::MIN;

impl Default for WorkerStats {
    fn default() -> WorkerStats {
        WorkerStats {
            queued: AtomicUsize::default(),
            last_tick_micros: AtomicI64::new(NEVER),
            failures: AtomicU32::default(),
            strangers: AtomicBool::default(),
            refused_since_micros: AtomicI64::new(NEVER),
            grants_expired: AtomicU64::default(),
        }
    }
}

impl WorkerStats {
    /// Sets the number of mailboxes with a planned mail.
    pub(super) fn queued(&self, mailboxes: usize) {
        self.queued.store(mailboxes, Ordering::Relaxed);
    }

    /// Records a successful tick.
    pub(super) fn ticked(&self, at: DateTime<Utc>) {
        self.last_tick_micros.store(at.timestamp_micros(), Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Records a failed tick.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets whether members of another fleet use this key prefix.
    pub(super) fn set_foreign_fleet(&self, strangers: bool) {
        self.strangers.store(strangers, Ordering::Relaxed);
    }

    /// Returns whether this worker is no member, because members of another fleet use this key prefix.
    pub(super) fn is_among_strangers(&self) -> bool {
        self.strangers.load(Ordering::Relaxed)
    }

    /// Sets the time since which Postgres refuses the writes of this worker; `None` once it accepts them. Day clock.
    pub(super) fn set_writes_refused(&self, since: Option<DateTime<Utc>>) {
        let micros = since.map_or(NEVER, |since| since.timestamp_micros());
        self.refused_since_micros.store(micros, Ordering::Relaxed);
    }

    /// Returns the time since which Postgres refuses the writes of this worker.
    pub(super) fn writes_refused_since(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.refused_since_micros.load(Ordering::Relaxed))
    }

    /// Adds grants that expired unused.
    pub(super) fn add_expired_grants(&self, grants: usize) {
        self.grants_expired.fetch_add(grants as u64, Ordering::Relaxed);
    }

    /// Returns the number of grants that expired unused since the start.
    pub(super) fn grants_expired(&self) -> u64 {
        self.grants_expired.load(Ordering::Relaxed)
    }

    pub(super) fn queue_size(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn last_tick(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.last_tick_micros.load(Ordering::Relaxed))
    }

    /// Returns the number of failed ticks in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_tick_ends_a_row_of_failures() {
        let vitals = WorkerStats::default();
        assert_eq!((vitals.last_tick(), vitals.failures(), vitals.queue_size()), (None, 0, 0));
        vitals.failed();
        vitals.failed();
        assert_eq!(vitals.failures(), 2);
        vitals.ticked(DateTime::UNIX_EPOCH);
        assert_eq!((vitals.last_tick(), vitals.failures()), (Some(DateTime::UNIX_EPOCH), 0));
    }
}
