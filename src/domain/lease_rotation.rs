//! Which of its leases a worker extends at which heartbeat: a part of them each time, in turn.
//!
//! A worker's heartbeat makes it a member of the fleet for ttl, and a lease on a shard binds others while its owner is a
//! member. So the lease itself needs only to be there as long as that, and to be looked at now and then.
//!
//! *Terms*: a heartbeat is *heard* when its answer came. It finds the worker a *member* when less than ttl has passed since
//! the one before, by the service's clock. A lease is *due* at one heartbeat of `PARTS`, and besides whenever anything
//! about it is new: the shard, its epoch, or that the heartbeat before was not heard.
//!
//! *Why no lease runs out under a member*: of heartbeats that are heard one after another, each finds the worker a member,
//! so less than ttl lies between two of them, and a lease is less than `PARTS` x ttl old when its turn comes. It is
//! extended to `PARTS + 1` times ttl, and the trust in it ends ttl after any heartbeat: always before the lease does.
//! *Where that chain breaks*, nothing is concluded from earlier heartbeats. One that finds no member: all is lost. One that
//! was not heard may have been the one that found none, so at the next all leases are looked at. What somebody else took
//! has another epoch.

use std::time::Duration;

use super::id::{Epoch, ShardId};

/// In so many heartbeats each lease is extended once. A quarter of 4,096 costs Redis a millisecond.
const PARTS: u16 = 4;

/// Returns how long a lease on a shard is extended by the heartbeat of a worker that is a member for `ttl`.
pub fn lease_length(ttl: Duration) -> Duration {
    ttl * (u32::from(PARTS) + 1)
}

/// What the heartbeats that were heard say of the next. At first, or when one was not heard: nothing, so all is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseRotation {
    part: u16,
    /// Looked at and ours, each under this epoch, ascending.
    known: Vec<(ShardId, Epoch)>,
}

impl LeaseRotation {
    /// Returns which of `held`, shards with their epochs as the ledger says now, are due at this heartbeat.
    pub fn due(&self, held: &[(ShardId, Epoch)]) -> Vec<ShardId> {
        let in_turn = |shard: ShardId| shard.0.rem_euclid(i32::from(PARTS)) == i32::from(self.part);
        let due = held.iter().filter(|held| in_turn(held.0) || self.known.binary_search(held).is_err());
        due.map(|(shard, _)| *shard).collect()
    }

    /// Goes on to the next heartbeat after one that was heard, at which those of `held` were extended that were due.
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
