//! `LeaseDeadline` computes how long a worker may rely on its lease.
//!
//! ```text
//! machine clock of the worker   ──request────────answer────────────────────────deadline──▶
//!                                  │◀───────────────── ttl ─────────────────────▶│
//! Redis                                 ──granted──────────────────────────────────────expires──▶
//!                                          │◀──────────────── ttl ────────────────────────▶│
//! ```
//!
//! The lease starts in Redis at some moment between the request and the answer. So the worker counts from
//! *before* the request, and its local deadline always comes before the lease ends, whatever the network
//! does. The machine clock continues while the machine is suspended; after a sleep, a laptop finds all its
//! leases expired.
//!
//! *Failure*: a machine whose clock *rate* is off by more than the heartbeat leaves room for. Then the epoch
//! in Postgres still refuses the reserve of the old owner.
//!
//! For a shard, each heartbeat renews the membership, and all shard leases end with it (`lease_rotation.rs`).

use std::time::Duration;

/// A moment on the machine clock: time since an arbitrary start, never scaled, continues during suspend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MachineTime(pub Duration);

impl MachineTime {
    /// Returns the time since `earlier`, or zero if `earlier` lies ahead.
    pub fn since(self, earlier: MachineTime) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the moment `by` later.
    pub fn after(self, by: Duration) -> MachineTime {
        MachineTime(self.0.saturating_add(by))
    }
}

/// The local lease deadline: the worker may rely on a lease until this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseDeadline {
    deadline: MachineTime,
}

impl LeaseDeadline {
    /// Computes the deadline of a lease of length `ttl` from `asked`, the moment *before* the request was
    /// sent.
    pub fn from_request_time(asked: MachineTime, ttl: Duration) -> LeaseDeadline {
        LeaseDeadline { deadline: asked.after(ttl) }
    }

    /// Returns true if the lease is certainly valid at `now`.
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
