//! How long a worker may believe in its lease.
//!
//! ```text
//! machine clock of the worker   ──asked──────────answered──────────────────────deadline──▶
//!                                  │◀───────────────── ttl ─────────────────────▶│
//! Redis                                 ──granted──────────────────────────────────────expires──▶
//!                                          │◀──────────────── ttl ────────────────────────▶│
//! ```
//!
//! The lease starts in Redis at some moment between the asking and the answer, so the worker counts from *before* it
//! asked: its own deadline always comes first, whatever the network did. The clock is one that runs on while the
//! machine is suspended; a laptop that slept finds all its leases past. What fails: a machine whose clock *rate* is
//! off by more than the heartbeat leaves room for. Then the epoch in Postgres still refuses the stale owner's reserve.
//!
//! For a shard, what is granted at each heartbeat is the membership, with which all leases on shards end (`turns.rs`).

use std::time::Duration;

/// A moment on the machine clock: time since an arbitrary start, never scaled, runs on in suspend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineTime(pub Duration);

impl MachineTime {
    /// Returns how long ago `earlier` was, or zero when it lies ahead.
    pub fn since(self, earlier: MachineTime) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the moment `by` later.
    pub fn after(self, by: Duration) -> MachineTime {
        MachineTime(self.0.saturating_add(by))
    }
}

/// The moment until which a lease may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseDeadline {
    deadline: MachineTime,
}

impl LeaseDeadline {
    /// Counts the trust in a lease of length `ttl` from `asked`, the moment *before* the request was sent.
    pub fn from_request_time(asked: MachineTime, ttl: Duration) -> LeaseDeadline {
        LeaseDeadline { deadline: asked.after(ttl) }
    }

    /// Says whether the lease still holds for certain at `now`.
    pub fn is_valid_at(self, now: MachineTime) -> bool {
        now < self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_ends_before_the_lease_can() {
        let asked = MachineTime(Duration::from_secs(100));
        let trust = LeaseDeadline::from_request_time(asked, Duration::from_secs(15));
        assert!(trust.is_valid_at(MachineTime(Duration::from_millis(114_999))));
        assert!(!trust.is_valid_at(MachineTime(Duration::from_secs(115))));
    }
}
