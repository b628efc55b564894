//! `RedisLeases` implements the leases: a key per lease, whose value is the owner's run and whose expiry is the lease's
//! end.

use std::time::Duration;

use async_trait::async_trait;
use redis::{Script, ScriptInvocation};

use super::{Keys, Pool, pool};
use crate::{
    domain::id::RunId,
    ports::{LeaseKey, Leases, PortError},
};

/// `RedisLeases` stores leases in Redis.
pub struct RedisLeases {
    pool: Pool,
    keys: Keys,
    acquire: Script,
    renew: Script,
    release: Script,
}

impl RedisLeases {
    /// Creates the leases under `prefix`.
    pub fn new(pool: Pool, prefix: &str) -> RedisLeases {
        RedisLeases {
            pool,
            keys: Keys::new(prefix),
            acquire: Script::new(include_str!("../../../lua/lease_acquire.lua")),
            renew: Script::new(include_str!("../../../lua/lease_renew.lua")),
            release: Script::new(include_str!("../../../lua/lease_release.lua")),
        }
    }

    /// Runs `script` on all `keys` in one call; without keys there is no call.
    async fn on_each(
        &self,
        script: &Script,
        owner: RunId,
        keys: &[LeaseKey],
        ttl: Option<Duration>,
    ) -> Result<Vec<bool>, PortError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut call: ScriptInvocation<'_> = script.prepare_invoke();
        for key in keys {
            call.key(self.keys.lease(*key));
        }
        call.arg(owner.to_string());
        if let Some(ttl) = ttl {
            call.arg(millis(ttl));
        }
        pool::run(&self.pool, &call).await
    }
}

/// Returns `ttl` in milliseconds, at least 1: Redis refuses an expiry of 0.
pub(super) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[async_trait]
impl Leases for RedisLeases {
    async fn acquire(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.on_each(&self.acquire, owner, keys, Some(ttl)).await
    }

    async fn renew(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.on_each(&self.renew, owner, keys, Some(ttl)).await
    }

    async fn release(&self, owner: RunId, keys: &[LeaseKey]) -> Result<(), PortError> {
        self.on_each(&self.release, owner, keys, None).await.map(drop)
    }

    async fn skew(&self, now: i64) -> Result<i64, PortError> {
        let (seconds, micros): (i64, i64) = pool::query(&self.pool, &redis::cmd("TIME")).await?;
        Ok(seconds * 1_000_000 + micros - now)
    }
}
