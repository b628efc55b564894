//! This module builds the real ports and the worker settings from the configuration.

use std::sync::Arc;

use anyhow::bail;
use sqlx::PgPool;

use super::wait_for_server::wait_until_available;
use crate::{
    adapters::{
        from_settings,
        postgres::{
            PostgresDuties, PostgresLedger, PostgresMailboxes, PostgresOrders, durability_warnings, keyring, migrate,
            pool,
        },
        redis::{self, RedisLeases, RedisMembers, RedisNotifier},
        seal::Sealer,
        smtp::SmtpMailer,
    },
    config::Settings,
    domain::{
        id::{FleetId, WorkerId},
        maintenance::Retention,
    },
    ports::{Clock, Entropy, PortError},
    worker::{Ports, WorkerSettings},
};

/// The size of the Redis pool, which serves the heartbeat, the caps and a reader.
const REDIS_CONNECTIONS: usize = 8;

/// Returns the ports of a worker over real services, after checking that the services are fit.
///
/// The checks demand a database of this release, the right master key and a Redis that is new enough. Waits for
/// services that are unavailable.
pub async fn ports(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    sealer: Arc<Sealer>,
) -> anyhow::Result<(Ports, PgPool)> {
    settings.require_all()?;
    let url = settings.database()?;
    // The file is read before any wait, so that its errors are reported at once.
    from_settings::host_caps(settings, &*clock)?;
    let connect = async || pool::connect_worker(&url.current(), settings.db_pool).await;
    let database = wait_until_available(&*clock, "Postgres", pool::ConnectError::passes, connect).await?;
    migrate::check_encoding(&database).await?;
    migrate::check_schema(&database).await?;
    migrate::check_shards(&database, settings.shards).await?;
    match durability_warnings(&database).await {
        Ok(warnings) => warnings.iter().for_each(|warning| tracing::warn!("{warning}")),
        Err(error) => tracing::debug!(%error, "the durability of Postgres was not looked at"),
    }
    keyring::check(&database, &sealer).await?;
    let away = |error: &PortError| matches!(error, PortError::Unavailable(_) | PortError::Unknown(_));
    let redis = from_settings::redis(settings, REDIS_CONNECTIONS)?;
    let look = async || redis::check(&redis, &settings.redis_prefix, settings.shards).await;
    match wait_until_available(&*clock, "Redis", away, look).await {
        Ok(warnings) => warnings.iter().for_each(|warning| tracing::warn!("{warning}")),
        Err(PortError::Permanent(error) | PortError::Denied(error)) => bail!("Redis can't be used: {error}"),
        Err(error) => bail!("Redis can't be used: {error}; check REDIS_URL"),
    }
    // The check is repeated because an operator may have changed the number during the wait for Redis.
    migrate::check_shards(&database, settings.shards).await?;
    let mailer = SmtpMailer::new(from_settings::smtp(settings), sealer, Arc::clone(&clock))?;
    let bell = RedisNotifier::new(redis.clone(), &settings.redis_prefix, Arc::clone(&clock));
    let limited = from_settings::limited_caps(settings, redis.clone(), &clock)?;
    let ports = Ports {
        clock,
        entropy,
        mailboxes: Arc::new(PostgresMailboxes::new(database.clone())),
        ledger: Arc::new(PostgresLedger::new(database.clone(), settings.user_daily_cap)),
        duties: Arc::new(PostgresDuties::new(database.clone())),
        caps: Arc::new(limited),
        leases: Arc::new(RedisLeases::new(redis.clone(), &settings.redis_prefix)),
        members: Arc::new(RedisMembers::new(redis, &settings.redis_prefix)),
        mailer: Arc::new(mailer),
        orders: Arc::new(PostgresOrders::new(database.clone())),
        bell: Arc::new(bell),
    };
    Ok((ports, database))
}

/// Returns the worker's name. Without a configured name it is the host name and a random part, which differs at
/// each call.
pub fn worker_name(settings: &Settings) -> WorkerId {
    settings.worker_id.clone().map_or_else(random_name, WorkerId)
}

/// Returns the worker's part of the settings, for the fleet of the database.
pub fn worker_settings(settings: &Settings, worker: WorkerId, fleet: FleetId) -> WorkerSettings {
    WorkerSettings {
        fleet,
        worker,
        host: host(),
        distributed: settings.distributed_mode,
        shards: settings.shards,
        max_concurrent: settings.max_concurrent as usize,
        batch_size: settings.batch_size as usize,
        batch_delay: settings.batch_delay,
        stagger_min: settings.stagger_min,
        stagger_max: settings.stagger_max,
        cooldown_min: settings.mailbox_cooldown_min,
        cooldown_max: settings.mailbox_cooldown_max,
        reply_delay_min: settings.reply_delay_min,
        reply_delay_max: settings.reply_delay_max,
        rate_limit_backoff: settings.rate_limit_backoff,
        quota_priority_boost: settings.quota_priority_boost,
        tick_interval: settings.cron_interval,
        tick_spread: settings.cron_spread,
        active_hours: settings.active_hours,
        timezone: settings.timezone,
        retention: Retention { log_days: settings.log_retention_days, metrics_days: settings.metrics_retention_days },
        lease_ttl: settings.lease_ttl,
        heartbeat: settings.heartbeat,
        mail_deadline: settings.mail_deadline(),
        drain_timeout: settings.drain_timeout,
    }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn random_name() -> WorkerId {
    let host = host();
    let host = host.split('.').next().unwrap_or("worker");
    WorkerId(format!("{host}-{:04x}", rand::random::<u16>()))
}
