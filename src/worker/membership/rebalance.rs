//! `RebalancePlan` lists the shards that a worker should acquire and release, computed from the statuses of all
//! members.

use std::collections::BTreeSet;

use super::{Member, Membership, PortError, RunId, ShardId};
use crate::domain::{
    ownership::{self, ShardClaim},
    shard::all_shards,
    shard_set::ShardSet,
};

/// The shards that should change their owner at this heartbeat.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RebalancePlan {
    /// Owned shards to hand over.
    pub(super) to_release: BTreeSet<ShardId>,
    /// Shards to claim.
    pub(super) to_acquire: BTreeSet<ShardId>,
}

impl Membership {
    /// Returns the plan of this worker after a successful heartbeat.
    pub(super) async fn share(&self, stopping: bool, members: &[Member]) -> Result<RebalancePlan, PortError> {
        let held: ShardSet = self.holdings.all().into_iter().map(|(shard, _)| shard).collect();
        let without = |shards: Vec<ShardId>| shards.into_iter().filter(|shard| !held.contains(*shard)).collect();
        if stopping {
            // A worker in solo mode releases its shards at the end, with the exclusive lease.
            let going = if self.settings.distributed { held.iter().collect() } else { BTreeSet::new() };
            return Ok(RebalancePlan { to_release: going, ..RebalancePlan::default() });
        }
        if self.holdings.is_benched() {
            return Ok(RebalancePlan { to_release: held.iter().collect(), ..RebalancePlan::default() });
        }
        if !self.settings.distributed {
            return Ok(RebalancePlan {
                to_acquire: without(all_shards(self.settings.shards)),
                ..RebalancePlan::default()
            });
        }
        // After the heartbeat, because it may have found that Redis forgot this run.
        if !self.is_established() {
            let own = self.ports.ledger.shards_of(&self.settings.worker).await?;
            return Ok(RebalancePlan { to_acquire: without(own), ..RebalancePlan::default() });
        }
        Ok(share(self.run, self.settings.shards, &held, members))
    }
}

/// Returns the plan of `me`, which owns `held`. It acquires its target shards. It releases a shard whose target owner
/// is another, established member. All other shards stay.
fn share<'a>(me: RunId, shards: u16, held: &'a ShardSet, members: &'a [Member]) -> RebalancePlan {
    // Our own status still lists the shards that were lost at this heartbeat.
    let says = |member: &'a Member| if member.run == me { held } else { &member.status.held };
    let claim = |member: &'a Member| ShardClaim { run: member.run, said: member.until, held: says(member) };
    let claims: Vec<ShardClaim<'a>> = members.iter().map(claim).collect();
    let takers: Vec<&Member> = members.iter().filter(|member| member.status.accepts_shards).collect();
    let live: Vec<RunId> = takers.iter().map(|member| member.run).collect();
    let settled = |run: RunId| takers.iter().any(|member| member.run == run && member.status.is_established);
    let wanted = ownership::target_owners(&ownership::current_owners(shards, &claims), &live);
    let mut share = RebalancePlan::default();
    for (shard, owner) in (0..).map(ShardId).zip(wanted) {
        match owner {
            Some(owner) if owner == me && !held.contains(shard) => drop(share.to_acquire.insert(shard)),
            Some(owner) if owner != me && held.contains(shard) && settled(owner) => {
                share.to_release.insert(shard);
            }
            _ => {}
        }
    }
    share
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ports::MemberStatus;

    fn run(n: u128) -> RunId {
        RunId(Uuid::from_u128(n))
    }

    fn set(shards: impl IntoIterator<Item = i32>) -> ShardSet {
        shards.into_iter().map(ShardId).collect()
    }

    fn member(n: u128, held: ShardSet) -> Member {
        Member { run: run(n), until: 10, status: MemberStatus { held, ..MemberStatus::default() } }
    }

    fn told(change: impl FnOnce(&mut MemberStatus)) -> RebalancePlan {
        let mut other = member(2, set([]));
        change(&mut other.status);
        share(run(1), 8, &set(0..8), &[member(1, set(0..8)), other])
    }

    #[test]
    fn half_goes_to_a_second_worker_and_comes_to_it() {
        let (going, members) = (told(|_| {}).to_release, [member(1, set(0..8)), member(2, set([]))]);
        assert_eq!(going.len(), 4);
        let other = share(run(2), 8, &set([]), &members);
        assert_eq!((other.to_acquire, other.to_release), (going, BTreeSet::new()));
    }

    #[test]
    fn nothing_goes_to_who_is_new_or_takes_nothing() {
        assert_eq!(told(|status| status.is_established = false), RebalancePlan::default());
        assert_eq!(told(|status| status.accepts_shards = false), RebalancePlan::default());
    }

    #[test]
    fn the_share_of_who_is_new_is_left_free_for_it() {
        let mut new = member(2, set([]));
        new.status.is_established = false;
        let share = share(run(1), 8, &set([]), &[member(1, set([])), new]);
        assert_eq!(share.to_acquire.len(), 4);
    }

    #[test]
    fn who_takes_nothing_itself_gives_all_to_those_who_do() {
        let mut me = member(1, set(0..8));
        me.status.accepts_shards = false;
        assert_eq!(share(run(1), 8, &set(0..8), &[me.clone(), member(2, set([]))]).to_release.len(), 8);
        assert_eq!(share(run(1), 8, &set(0..8), &[me]), RebalancePlan::default(), "nobody else is there");
    }

    #[test]
    fn what_was_lost_at_this_heartbeat_is_asked_for_again() {
        let share = share(run(1), 2, &set([0]), &[member(1, set([0, 1]))]);
        assert_eq!((share.to_acquire, share.to_release), (BTreeSet::from([ShardId(1)]), BTreeSet::new()));
    }
}
