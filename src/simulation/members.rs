//! `MemoryLeases` implements the membership store: the members, beside the leases that bind others during the
//! membership.

use std::time::Duration;

use async_trait::async_trait;

use super::leases::{Holder, Kept, MemoryLeases, extend};
use crate::{
    domain::{
        id::{RunId, ShardId},
        lease::MachineTime,
        lease_rotation,
        ledger_mark::LedgerMark,
    },
    ports::{HeartbeatReply, LeaseKey, Member, MemberStatus, MembershipStore, PortError},
};

impl Kept {
    fn drop_the_dead(&mut self, now: MachineTime) {
        self.members.retain(|_, (until, _)| now < *until);
    }

    pub(super) fn lives(&self, run: RunId, now: MachineTime) -> bool {
        self.members.get(&run).is_some_and(|(until, _)| now < *until)
    }

    fn claim(&mut self, run: RunId, shard: ShardId, ttl: Duration, now: MachineTime) -> bool {
        let key = LeaseKey::Shard(shard);
        let living = self.holders.get(&key).is_some_and(|holder| self.lives(holder.owner, now));
        self.on_one(key, now, &mut |holder, now| {
            let free = holder.is_none_or(|holder| holder.owner == run || !living);
            if free {
                *holder = Some(Holder { owner: run, until: now.after(ttl) });
            }
            free
        })
    }

    fn living(&self, now: MachineTime) -> Vec<Member> {
        let living = self.members.iter().filter(|(_, (until, _))| now < *until);
        let member = |(run, (until, status)): (&RunId, &(MachineTime, MemberStatus))| Member {
            run: *run,
            until: i64::try_from(until.0.as_millis()).unwrap_or(i64::MAX),
            status: status.clone(),
        };
        living.map(member).collect()
    }
}

#[async_trait]
impl MembershipStore for MemoryLeases {
    async fn heartbeat(
        &self,
        run: RunId,
        status: &MemberStatus,
        seat: LeaseKey,
        due: &[ShardId],
        ttl: Duration,
    ) -> Result<HeartbeatReply, PortError> {
        self.step(|kept, now| {
            kept.drop_the_dead(now);
            if kept.members.values().any(|(_, other)| other.fleet.differs(&status.fleet)) {
                return Err(PortError::Lost("workers of another fleet live here".into()));
            }
            let was_member = kept.members.insert(run, (now.after(ttl), status.clone())).is_some();
            let has_exclusive_lease = kept.on_one(seat, now, &mut extend(run, ttl));
            let mut further = extend(run, lease_rotation::lease_length(ttl));
            let mut renew = |shard: &ShardId| was_member && kept.on_one(LeaseKey::Shard(*shard), now, &mut further);
            let still_held = due.iter().map(&mut renew).collect();
            Ok(HeartbeatReply { was_member, has_exclusive_lease, still_held, members: kept.living(now) })
        })?
    }

    async fn claim(&self, run: RunId, shards: &[ShardId], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.step(|kept, now| shards.iter().map(|shard| kept.claim(run, *shard, ttl, now)).collect())
    }

    async fn members(&self) -> Result<Vec<Member>, PortError> {
        self.step(|kept, now| kept.living(now))
    }

    async fn leave(&self, run: RunId) -> Result<(), PortError> {
        self.step(|kept, _| drop(kept.members.remove(&run)))
    }

    async fn merge_mark(&self, identity: &str, mark: &LedgerMark) -> Result<LedgerMark, PortError> {
        self.step(|kept, _| {
            let mut merged = mark.clone();
            if let Some((_, known)) = kept.mark.take().filter(|(of, _)| of == identity) {
                merged.merge(known);
            }
            kept.mark = Some((identity.to_owned(), merged.clone()));
            merged
        })
    }
}
