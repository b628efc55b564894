//! Another number of shards moves mailboxes between workers, so nobody may work meanwhile. Postgres says who is connected,
//! Redis who beats; either may be cut off from a worker that the other sees.

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

/// Refuses while workers of this fleet beat in Redis and the database has another number of shards than the settings.
/// Returns what could not be asked, to be told. Postgres itself is asked by `migrate`.
pub async fn nobody_works(settings: &Settings, database: &PgPool) -> anyhow::Result<Option<String>> {
    let Err(migrate::SchemaError::Shards { found, .. }) = migrate::check_shards(database, settings.shards).await else {
        return Ok(None);
    };
    // None yet, or no Redis is named: no worker has begun, or Postgres alone can tell.
    if found == 0 || settings.redis_url.is_none() {
        return Ok(None);
    }
    let members = RedisMembers::new(from_settings::redis(settings, 1)?, &settings.redis_prefix).members().await;
    let living = match members {
        Ok(living) => living,
        Err(error) => return Ok(Some(format!("whether workers still run can't be seen in Redis ({error})"))),
    };
    // A database of an older release does not say which fleet it is.
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
