//! `Membership` acquires the exclusive lease of the worker before the worker starts.
//!
//! The lease protects the worker's name or, in solo mode, the fleet. A killed worker leaves its lease and its
//! membership behind. A starting worker therefore waits until both had time to expire; one that is still there was
//! renewed.

use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::{ASK_AGAIN, Membership, PortError};
use crate::{domain::id::WorkerId, ports::Member};

/// The reason why a worker may not start.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MembershipError {
    /// The solo lease was renewed during the wait, or a worker of a fleet runs.
    #[error(
        "another worker is running on this Redis and renews its lease: stop it first, or set \
         WARMUP_DISTRIBUTED_MODE=true for all workers"
    )]
    AnotherWorker,
    /// The lease on the name was renewed during the wait.
    #[error(
        "another worker called `{0}` is running on this Redis: give each worker a WARMUP_WORKER_ID of its own, or none \
         for a random one"
    )]
    NameTaken(WorkerId),
    /// A worker in solo mode runs.
    #[error(
        "worker `{0}` runs with WARMUP_DISTRIBUTED_MODE=false on this Redis and shares with nobody: stop it first, or \
         give this fleet a WARMUP_REDIS_PREFIX of its own"
    )]
    WorksAlone(WorkerId),
    /// A running worker has another number of shards.
    #[error(
        "worker `{worker}` runs with WARMUP_SHARDS={theirs}, this one has WARMUP_SHARDS={ours}: stop all workers before \
         you change the number of shards"
    )]
    OtherShards { worker: WorkerId, theirs: u16, ours: u16 },
    /// A running worker uses another database.
    #[error(
        "worker `{0}` of another fleet, with another database, runs under the same WARMUP_REDIS_PREFIX on this Redis: give \
         one of the two fleets a prefix of its own"
    )]
    AnotherFleet(WorkerId),
    /// Redis answers, but will never accept the request.
    #[error("Redis can't keep leases: {0}")]
    Unusable(String),
}

impl Membership {
    /// Waits for the exclusive lease. Returns false when `stop` came first. Returns an error when another live worker
    /// has the lease, or does not fit to this worker.
    pub(in crate::worker) async fn acquire_exclusive(&self, stop: &CancellationToken) -> Result<bool, MembershipError> {
        let mut refused_at = None;
        while !stop.is_cancelled() {
            match self.ask_for_seat().await {
                Ok(None) => return Ok(true),
                Ok(Some(refusal)) => {
                    let now = self.ports.clock.machine();
                    let since = *refused_at.get_or_insert_with(|| {
                        tracing::warn!(%refusal, ttl = ?self.settings.lease_ttl, "waiting until it had time to expire");
                        now
                    });
                    if now.since(since) > self.settings.lease_ttl + ASK_AGAIN {
                        return Err(refusal);
                    }
                }
                Err(PortError::Permanent(error)) => return Err(MembershipError::Unusable(error)),
                Err(error) => tracing::warn!(%error, "Redis is away: waiting for it"),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.ports.clock.sleep(ASK_AGAIN.min(self.settings.lease_ttl / 4)) => {}
            }
        }
        Ok(false)
    }

    /// Acquires the exclusive lease if it is free and all members fit to this worker. Returns the refusal otherwise.
    async fn ask_for_seat(&self) -> Result<Option<MembershipError>, PortError> {
        let members = self.ports.members.members().await?;
        if let Some(refusal) = members.iter().find_map(|member| self.clashes_with(member)) {
            return Ok(Some(refusal));
        }
        let taken = self.try_acquire_exclusive().await?;
        Ok((!taken).then(|| match self.settings.distributed {
            true => MembershipError::NameTaken(self.settings.worker.clone()),
            false => MembershipError::AnotherWorker,
        }))
    }

    fn clashes_with(&self, member: &Member) -> Option<MembershipError> {
        let (status, ours) = (&member.status, self.settings.shards);
        let theirs = status.fleet_shards;
        if status.fleet.differs(&self.settings.fleet) {
            return Some(MembershipError::AnotherFleet(status.id.clone()));
        }
        match (self.settings.distributed, status.solo) {
            (false, _) => Some(MembershipError::AnotherWorker),
            (true, true) => Some(MembershipError::WorksAlone(status.id.clone())),
            // A member with 0 does not report its number of shards, so it can't be refused for it.
            (true, false) if theirs != ours && theirs != 0 => {
                Some(MembershipError::OtherShards { worker: status.id.clone(), theirs, ours })
            }
            (true, false) => None,
        }
    }

    /// Acquires the exclusive lease again after its loss.
    pub(super) async fn reacquire_exclusive(&self) -> Result<(), PortError> {
        tracing::warn!("lost the seat: nothing is started until it is ours again");
        if self.try_acquire_exclusive().await? {
            return Ok(());
        }
        let seat = if self.settings.distributed { "name" } else { "solo lease" };
        Err(PortError::Lost(format!("another worker has the {seat} of this one")))
    }

    async fn try_acquire_exclusive(&self) -> Result<bool, PortError> {
        let ttl: Duration = self.settings.lease_ttl;
        Ok(self.ports.leases.acquire(self.run, &[self.seat], ttl).await?.first() == Some(&true))
    }
}
