//! `RedisMembers` implements the membership: a sorted set of runs by the end of their membership, and a hash of their
//! statuses, packed as MessagePack maps with names.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use redis::Script;

use super::{Keys, Pool, leases::millis, pool};
use crate::{
    domain::{
        id::{RunId, ShardId},
        lease_rotation,
        ledger_mark::LedgerMark,
    },
    ports::{HeartbeatReply, LeaseKey, Member, MemberStatus, MembershipStore, PortError},
};

/// The time for which the mark of the database outlives the last worker: longer than the age of any backup worth
/// restoring.
const MARK_LASTS: Duration = Duration::from_secs(400 * 24 * 3_600);

/// `RedisMembers` stores the members in Redis.
pub struct RedisMembers {
    pool: Pool,
    keys: Keys,
    heartbeat: Script,
    claim: Script,
    members: Script,
    leave: Script,
    mark: Script,
}

/// A member as the scripts return it: its run, the end of its membership in ms since the epoch, its status.
type Told = (String, i64, Vec<u8>);

impl RedisMembers {
    /// Creates the members under `prefix`.
    pub fn new(pool: Pool, prefix: &str) -> RedisMembers {
        RedisMembers {
            pool,
            keys: Keys::new(prefix),
            heartbeat: Script::new(include_str!("../../../lua/heartbeat.lua")),
            claim: Script::new(include_str!("../../../lua/claim.lua")),
            members: Script::new(include_str!("../../../lua/members.lua")),
            leave: Script::new(include_str!("../../../lua/leave.lua")),
            mark: Script::new(include_str!("../../../lua/mark.lua")),
        }
    }
}

#[async_trait]
impl MembershipStore for RedisMembers {
    async fn heartbeat(
        &self,
        run: RunId,
        status: &MemberStatus,
        seat: LeaseKey,
        due: &[ShardId],
        ttl: Duration,
    ) -> Result<HeartbeatReply, PortError> {
        let mut call = self.heartbeat.key(self.keys.members());
        call.key(self.keys.statuses()).key(self.keys.fleet()).key(self.keys.lease(seat));
        for shard in due {
            call.key(self.keys.lease(LeaseKey::Shard(*shard)));
        }
        call.arg(run.to_string()).arg(millis(ttl)).arg(millis(lease_rotation::lease_length(ttl)));
        call.arg(packed(status)?).arg(&status.fleet.0);
        let (was_member, has_exclusive_lease, lost, told): (bool, bool, Vec<usize>, Vec<Told>) =
            pool::run(&self.pool, &call).await?;
        let lost: BTreeSet<usize> = lost.into_iter().collect();
        let still_held = (1..=due.len()).map(|place| !lost.contains(&place)).collect();
        Ok(HeartbeatReply { was_member, has_exclusive_lease, still_held, members: listed(told) })
    }

    async fn claim(&self, run: RunId, shards: &[ShardId], ttl: Duration) -> Result<Vec<bool>, PortError> {
        if shards.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = self.claim.key(self.keys.members());
        for shard in shards {
            call.key(self.keys.lease(LeaseKey::Shard(*shard)));
        }
        call.arg(run.to_string()).arg(millis(ttl));
        pool::run(&self.pool, &call).await
    }

    async fn members(&self) -> Result<Vec<Member>, PortError> {
        let mut call = self.members.key(self.keys.members());
        call.key(self.keys.statuses());
        Ok(listed(pool::run(&self.pool, &call).await?))
    }

    async fn leave(&self, run: RunId) -> Result<(), PortError> {
        let mut call = self.leave.key(self.keys.members());
        call.key(self.keys.statuses()).arg(run.to_string());
        pool::run::<i64>(&self.pool, &call).await.map(drop)
    }

    async fn merge_mark(&self, identity: &str, mark: &LedgerMark) -> Result<LedgerMark, PortError> {
        let settled = match &mark.settled {
            Some(settled) => serde_json::to_string(settled).map_err(|error| PortError::Permanent(error.to_string()))?,
            None => String::new(),
        };
        let mut call = self.mark.key(self.keys.mark());
        call.arg(identity).arg(mark.fence).arg(mark.flight).arg(mark.shards).arg(mark.epochs).arg(settled);
        call.arg(millis(MARK_LASTS));
        let (fence, flight, shards, epochs, settled): (i64, i64, i64, i64, String) =
            pool::run(&self.pool, &call).await?;
        Ok(LedgerMark { fence, flight, shards, epochs, settled: serde_json::from_str(&settled).ok() })
    }
}

fn packed(status: &MemberStatus) -> Result<Vec<u8>, PortError> {
    rmp_serde::to_vec_named(status).map_err(|error| PortError::Permanent(format!("a status can't be packed: {error}")))
}

/// Decodes members. An unreadable status still proves that a worker lives; an entry whose name is no run is not a
/// worker.
pub(super) fn listed(told: Vec<Told>) -> Vec<Member> {
    let member = |(run, until, status): Told| {
        let run = RunId(run.parse().ok()?);
        Some(Member { run, until, status: rmp_serde::from_slice(&status).unwrap_or_default() })
    };
    let mut members: Vec<Member> = told.into_iter().filter_map(member).collect();
    members.sort_unstable_by_key(|member| member.run);
    members
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Serialize, de::IgnoredAny};
    use uuid::Uuid;

    use super::*;
    use crate::domain::id::WorkerId;

    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct OfAnotherRelease {
        mood: &'static str,
        id: &'static str,
        queue_size: u32,
    }

    fn read(status: Vec<u8>) -> MemberStatus {
        listed(vec![(Uuid::nil().to_string(), 7, status)]).remove(0).status
    }

    #[test]
    fn a_status_of_another_release_is_read_as_far_as_it_is_known() {
        let other = OfAnotherRelease { mood: "good", id: "pod-3", queue_size: 5 };
        let status = read(rmp_serde::to_vec_named(&other).unwrap());
        assert_eq!(status, MemberStatus { id: WorkerId("pod-3".into()), queue_size: 5, ..MemberStatus::default() });
    }

    #[test]
    fn a_status_that_is_none_still_says_that_somebody_lives() {
        assert_eq!(read(b"\xc1".to_vec()), MemberStatus::default());
        assert!(listed(vec![("somebody".into(), 7, Vec::new())]).is_empty());
    }

    #[test]
    fn a_status_is_a_map_with_the_names_that_the_api_shows() {
        let status: BTreeMap<String, IgnoredAny> =
            rmp_serde::from_slice(&packed(&MemberStatus::default()).unwrap()).unwrap();
        let names = "id host version shards lanes queueSize activeSends lastTick consecutiveFailures state";
        for name in names.split(' ') {
            assert!(status.contains_key(name), "{name}");
        }
    }
}
