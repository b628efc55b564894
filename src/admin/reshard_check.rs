//! This module refuses a new number of shards while workers run.
//!
//! Another number moves mailboxes between workers, so no worker may run meanwhile. `migrate` checks the
//! connections to Postgres; this check reads the members in Redis. Either server may be cut off from a worker
//! that the other sees.

use anyhow::bail;
use sqlx::PgPool;

use crate::{
    adapters::{
        from_settings,
        postgres::{fleet, migrate},
        redis::RedisMembers,
    },
    config::Settings,
    ports::MembershipStore,
};

/// Returns an error if the number of shards changes while workers of this fleet are members in Redis.
///
/// Returns a warning if Redis could not be read. `migrate` checks Postgres.
pub async fn nobody_works(settings: &Settings, database: &PgPool) -> anyhow::Result<Option<String>> {
    let Err(migrate::SchemaError::Shards { found, .. }) = migrate::check_shards(database, settings.shards).await else {
        return Ok(None);
    };
    // A database without shards has had no worker. Without a Redis URL only the check of Postgres is possible.
    if found == 0 || settings.redis_url.is_none() {
        return Ok(None);
    }
    let members = RedisMembers::new(from_settings::redis(settings, 1)?, &settings.redis_prefix).members().await;
    let living = match members {
        Ok(living) => living,
        Err(error) => return Ok(Some(format!("whether workers still run can't be seen in Redis ({error})"))),
    };
    // A database of an older release does not identify its fleet.
    let ours = fleet::identity(database).await.unwrap_or_default();
    let named: Vec<String> = living
        .into_iter()
        .filter(|member| !member.status.fleet.differs(&ours))
        .map(|member| format!("`{}`", member.status.id))
        .collect();
    if named.is_empty() {
        return Ok(None);
    }
    bail!(
        "the database has {found} shards and WARMUP_SHARDS says {}: stop all workers before the number is changed; {} \
         still run{}",
        settings.shards,
        named.join(", "),
        if named.len() == 1 { "s" } else { "" }
    )
}
