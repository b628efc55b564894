//! `LeaseRotation` selects the leases that a worker extends at a heartbeat: one part of them each time, in
//! turn.
//!
//! The heartbeat makes a worker a member of the fleet for one TTL. A shard lease binds other workers
//! while its owner is a member. So the lease itself must only last as long as the membership, and an
//! occasional check is enough.
//!
//! *Terms*: a heartbeat *succeeds* when its answer arrives. It finds the worker a *member* if less than the
//! TTL has passed since the heartbeat before, by the clock of Redis. A lease is *due* at one heartbeat of
//! `PARTS`. It is also due if the shard or its epoch is new, or if the previous heartbeat did not succeed.
//!
//! *Why no lease expires under a member*: in a chain of successful heartbeats each one finds the worker a
//! member. So less than the TTL lies between two of them, and a lease is less than `PARTS` x TTL old at its
//! turn. Each extension lasts `PARTS + 1` times the TTL. The local lease deadline is one TTL after any
//! heartbeat, always before the lease ends.
//!
//! *Where the chain breaks*, the worker concludes nothing from earlier heartbeats. A heartbeat that finds no
//! member loses all leases. A heartbeat without an answer may have found no member, so the next one checks
//! all leases. A shard that another worker took has another epoch.

use std::time::Duration;

use super::id::{Epoch, ShardId};

/// The number of heartbeats in which each lease is extended once. Extending a quarter of 4,096 leases costs
/// Redis 1 ms.
const PARTS: u16 = 4;

/// Returns the duration for which a heartbeat extends a shard lease of a worker that is a member for `ttl`.
pub fn lease_length(ttl: Duration) -> Duration {
    ttl * (u32::from(PARTS) + 1)
}

/// The state that successful heartbeats leave for the next. It is empty at first and after a heartbeat
/// without an answer, so then all leases are due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseRotation {
    part: u16,
    /// The checked leases of this worker, each with its epoch, ascending.
    known: Vec<(ShardId, Epoch)>,
}

impl LeaseRotation {
    /// Returns the shards of `held` that are due at this heartbeat; `held` has the shards with their epochs
    /// in the ledger.
    pub fn due(&self, held: &[(ShardId, Epoch)]) -> Vec<ShardId> {
        let in_turn = |shard: ShardId| shard.0.rem_euclid(i32::from(PARTS)) == i32::from(self.part);
        let due = held.iter().filter(|held| in_turn(held.0) || self.known.binary_search(held).is_err());
        due.map(|(shard, _)| *shard).collect()
    }

    /// Advances the rotation after a successful heartbeat, which extended the due leases of `held`.
    pub fn advance(self, mut held: Vec<(ShardId, Epoch)>) -> LeaseRotation {
        held.sort_unstable();
        LeaseRotation { part: (self.part + 1) % PARTS, known: held }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(shards: std::ops::Range<i32>) -> Vec<(ShardId, Epoch)> {
        shards.map(|shard| (ShardId(shard), Epoch(7))).collect()
    }

    fn numbers(due: &[ShardId]) -> Vec<i32> {
        due.iter().map(|shard| shard.0).collect()
    }

    #[test]
    fn the_first_heartbeat_extends_all_and_then_each_has_its_turn_before_its_lease_can_end() {
        let (all, mut turns, mut beats_old) = (held(0..64), LeaseRotation::default(), vec![0; 64]);
        assert_eq!(turns.due(&all).len(), 64);
        for _ in 0..40 {
            let due = numbers(&turns.due(&all));
            beats_old.iter_mut().for_each(|age| *age += 1);
            for shard in due {
                assert!(beats_old[shard as usize] <= PARTS, "{shard}");
                beats_old[shard as usize] = 0;
            }
            turns = turns.advance(all.clone());
        }
        assert_eq!(turns.due(&all).len(), 16, "a quarter of them");
        assert!(lease_length(Duration::from_secs(15)) > Duration::from_secs(15) * u32::from(PARTS));
    }

    #[test]
    fn a_shard_that_is_new_or_whose_epoch_was_passed_is_due_out_of_turn() {
        let turns = LeaseRotation::default().advance(held(0..8));
        assert_eq!(numbers(&turns.due(&held(0..8))), [1, 5]);
        assert_eq!(numbers(&turns.due(&held(0..11))), [1, 5, 8, 9, 10]);
        let mut passed = held(0..8);
        passed[2].1 = Epoch(8);
        assert_eq!(numbers(&turns.due(&passed)), [1, 2, 5]);
        assert_eq!(numbers(&turns.advance(passed.clone()).due(&passed)), [2, 6], "once");
    }
}
