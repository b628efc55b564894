//! Leases: who may act on a shard. A courtesy that keeps workers out of each other's way; the fence is the epoch in the
//! ledger. Those on shards are claimed and extended as a member of the fleet (`members.rs`), and end with the membership.

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::error::PortError;
use crate::domain::id::{RunId, ShardId, WorkerId};

/// What a lease is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaseKey {
    /// The whole fleet, for one worker alone (`WARMUP_DISTRIBUTED_MODE=false`).
    Solo,
    /// The daily duties: the one worker that does them.
    Leader,
    /// One shard.
    Shard(ShardId),
    /// A worker's name, by its hash: no two workers that live have the same.
    Name(u64),
}

impl LeaseKey {
    /// The lease on a worker's name.
    pub fn name(worker: &WorkerId) -> LeaseKey {
        let digest = Sha256::digest(worker.0.as_bytes());
        LeaseKey::Name(digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte)))
    }
}

/// Leases that run out by themselves.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes each of `keys` that is free, or already `owner`'s, for `ttl`. Returns for each, in order, whether
    /// `owner` holds it now. One atomic step.
    ///
    /// Returns `Unavailable` or `Unknown` when the answer did not come; the caller must assume that it holds nothing
    /// new.
    async fn acquire(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError>;

    /// Extends each of `keys` that `owner` still holds to `ttl` from now. Returns for each, in order, whether it was
    /// still held; one that ran out is not taken again. One atomic step, however many there are.
    async fn renew(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError>;

    /// Gives back those of `keys` that `owner` still holds.
    async fn release(&self, owner: RunId, keys: &[LeaseKey]) -> Result<(), PortError>;

    /// Returns how far the service's clock is ahead of the Unix time `now` (microseconds), in microseconds.
    async fn skew(&self, now: i64) -> Result<i64, PortError>;
}
