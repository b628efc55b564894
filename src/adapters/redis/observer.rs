//! Who lives and who leads, for those who only look.

use redis::Script;

use super::{Keys, Pool, members, pool};
use crate::{
    domain::id::RunId,
    ports::{LeaseKey, Member, PortError},
};

/// Looks, and changes nothing.
pub struct RedisObserver {
    pool: Pool,
    keys: Keys,
    members: Script,
}

impl RedisObserver {
    /// Looks at the fleet under `prefix`.
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

    /// Returns which run holds a lease; none where nobody does.
    pub async fn holder(&self, lease: LeaseKey) -> Result<Option<RunId>, PortError> {
        let held: Option<String> = pool::query(&self.pool, redis::cmd("GET").arg(self.keys.lease(lease))).await?;
        Ok(held.and_then(|run| run.parse().ok()).map(RunId))
    }
}
