//! `Leases` acquires, renews and releases leases, which expire by themselves.
//!
//! A lease keeps workers from competing for the same shard; the fencing token is the epoch in the ledger.
//! `MembershipStore` claims and extends the leases on shards, which end with the membership (`membership.rs`).

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::error::PortError;
use crate::domain::id::{RunId, ShardId, WorkerId};

/// The subject of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaseKey {
    /// The whole fleet, in solo mode (`WARMUP_DISTRIBUTED_MODE=false`).
    Solo,
    /// The leadership: its holder runs the maintenance jobs.
    Leader,
    /// One shard.
    Shard(ShardId),
    /// The hash of a worker's name. No two live workers have the same name.
    Name(u64),
}

impl LeaseKey {
    /// Returns the key of the lease on a worker's name.
    pub fn name(worker: &WorkerId) -> LeaseKey {
        let digest = Sha256::digest(worker.0.as_bytes());
        LeaseKey::Name(digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte)))
    }
}

/// The leases of one fleet.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes each of `keys` that is free or already `owner`'s, for `ttl`. Returns for each, in order, whether `owner`
    /// now holds it. The call is one atomic step.
    ///
    /// Returns `Unavailable` or `Unknown` when no answer came; the caller must assume that it holds no new lease.
    async fn acquire(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError>;

    /// Extends each of `keys` that `owner` still holds to `ttl` from now. Returns for each, in order, whether it was
    /// still held. An expired lease is not acquired again. The call is one atomic step, for any number of keys.
    async fn renew(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError>;

    /// Releases those of `keys` that `owner` still holds.
    async fn release(&self, owner: RunId, keys: &[LeaseKey]) -> Result<(), PortError>;

    /// Returns the lead of the service's clock over the Unix time `now`. Both are in microseconds.
    async fn skew(&self, now: i64) -> Result<i64, PortError>;
}
