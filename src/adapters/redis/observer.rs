//! `RedisObserver` reads the living workers and the leader; it never writes.

use redis::Script;

use super::{Keys, Pool, members, pool};
use crate::{
    domain::id::RunId,
    ports::{LeaseKey, Member, PortError},
};

/// `RedisObserver` reads members and leases.
pub struct RedisObserver {
    pool: Pool,
    keys: Keys,
    members: Script,
}

impl RedisObserver {
    /// Creates an observer of the fleet under `prefix`.
    pub fn new(pool: Pool, prefix: &str) -> RedisObserver {
        let members = Script::new(include_str!("../../../lua/members.lua"));
        RedisObserver { pool, keys: Keys::new(prefix), members }
    }

    /// Returns all members, ordered by run.
    pub async fn members(&self) -> Result<Vec<Member>, PortError> {
        let mut call = self.members.key(self.keys.members());
        call.key(self.keys.statuses());
        Ok(members::listed(pool::run(&self.pool, &call).await?))
    }

    /// Returns the run that holds a lease; `None` for a free lease.
    pub async fn holder(&self, lease: LeaseKey) -> Result<Option<RunId>, PortError> {
        let held: Option<String> = pool::query(&self.pool, redis::cmd("GET").arg(self.keys.lease(lease))).await?;
        Ok(held.and_then(|run| run.parse().ok()).map(RunId))
    }
}
