//! `InstrumentedMembership` and `MeteredLeases` measure the worker's heartbeats, leases and leadership.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Meter, Service::Redis};
use crate::{
    domain::{
        id::{RunId, ShardId},
        ledger_mark::LedgerMark,
    },
    ports::{HeartbeatReply, LeaseKey, Leases, Member, MemberStatus, MembershipStore, PortError},
};

pub(super) struct InstrumentedMembership {
    pub(super) inner: Arc<dyn MembershipStore>,
    pub(super) meter: Meter,
}

#[async_trait]
impl MembershipStore for InstrumentedMembership {
    async fn heartbeat(
        &self,
        run: RunId,
        status: &MemberStatus,
        seat: LeaseKey,
        due: &[ShardId],
        ttl: Duration,
    ) -> Result<HeartbeatReply, PortError> {
        let asked = self.inner.heartbeat(run, status, seat, due, ttl);
        let pulse = self.meter.timed(Redis, "heartbeat", asked).await?;
        let meters = &self.meter.meters;
        let lost = lost(&pulse, status.held.len());
        meters.leases.set(gauge((status.held.len() + 1).saturating_sub(lost)));
        meters.leases_lost.inc_by(lost as u64);
        meters.workers.set(gauge(pulse.members.len()));
        meters.lanes.set(status.lanes.into());
        meters.shards.set(status.shards.into());
        meters.queue.set(status.queue_size.into());
        if let Some(tick) = status.last_tick {
            meters.last_tick.set(tick.timestamp());
        }
        Ok(pulse)
    }

    async fn claim(&self, run: RunId, shards: &[ShardId], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.meter.timed(Redis, "claim", self.inner.claim(run, shards, ttl)).await
    }

    async fn members(&self) -> Result<Vec<Member>, PortError> {
        self.meter.timed(Redis, "members", self.inner.members()).await
    }

    async fn leave(&self, run: RunId) -> Result<(), PortError> {
        self.meter.timed(Redis, "leave", self.inner.leave(run)).await
    }

    async fn merge_mark(&self, identity: &str, mark: &LedgerMark) -> Result<LedgerMark, PortError> {
        self.meter.timed(Redis, "merge_mark", self.inner.merge_mark(identity, mark)).await
    }
}

/// Returns the number of lost leases of a worker that owned `shards` shards and its exclusive lease.
fn lost(pulse: &HeartbeatReply, shards: usize) -> usize {
    let shards = if pulse.was_member { pulse.still_held.iter().filter(|kept| !**kept).count() } else { shards };
    shards + usize::from(!pulse.has_exclusive_lease)
}

fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) struct MeteredLeases {
    pub(super) inner: Arc<dyn Leases>,
    pub(super) meter: Meter,
}

impl MeteredLeases {
    /// Updates the leader gauge when `keys` contain the lease of the leader.
    fn note(&self, keys: &[LeaseKey], held: &[bool]) {
        let leads = keys.iter().zip(held).find(|(key, _)| **key == LeaseKey::Leader);
        if let Some((_, leads)) = leads {
            self.meter.meters.leader.set((*leads).into());
        }
    }
}

#[async_trait]
impl Leases for MeteredLeases {
    async fn acquire(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        let held = self.meter.timed(Redis, "acquire", self.inner.acquire(owner, keys, ttl)).await?;
        self.note(keys, &held);
        Ok(held)
    }

    async fn renew(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        let held = self.meter.timed(Redis, "renew", self.inner.renew(owner, keys, ttl)).await?;
        self.note(keys, &held);
        Ok(held)
    }

    async fn release(&self, owner: RunId, keys: &[LeaseKey]) -> Result<(), PortError> {
        self.note(keys, &vec![false; keys.len()]);
        self.meter.timed(Redis, "release", self.inner.release(owner, keys)).await
    }

    async fn skew(&self, now: i64) -> Result<i64, PortError> {
        let skew = self.meter.timed(Redis, "skew", self.inner.skew(now)).await?;
        self.meter.meters.redis_clock_offset.set(-skew / 1_000_000);
        Ok(skew)
    }
}
