//! Makes the real ports of a configuration.

use std::sync::Arc;

use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use sqlx::PgPool;

use super::patience::wait_until_available;
use crate::{
    adapters::{
        postgres::{
            PostgresDuties, PostgresLedger, PostgresMailboxes, PostgresOrders, durability_warnings, keyring, migrate,
            pool,
        },
        redis::{self, RedisCaps, RedisLeases, RedisMembers, RedisNotifier},
        seal::Sealer,
        smtp::{SmtpConfig, SmtpMailer},
    },
    config::Settings,
    domain::{
        caps::{CapLimits, HostCaps, MARGIN},
        duties::Retention,
        id::{FleetId, WorkerId},
    },
    ports::{Clock, Entropy, PortError},
    worker::{Ports, WorkerSettings},
};

/// Connections to Redis: the heartbeat, the caps and a reader.
const REDIS_CONNECTIONS: usize = 8;

/// Connects to Postgres, which is there.
pub async fn database(settings: &Settings) -> anyhow::Result<PgPool> {
    Ok(pool::connect(settings.require_database()?, settings.db_pool).await?)
}

/// Opens connections to Redis, which need not be there: with TLS, and the operator's roots, where the URL says so.
pub fn redis(settings: &Settings, connections: usize) -> anyhow::Result<redis::Pool> {
    let (url, ca_file) = (settings.redis()?, settings.tls_ca_file.clone());
    let address = match redis::Address::of(url.current().expose_secret(), ca_file.as_deref()) {
        Ok(address) => address,
        Err(PortError::Permanent(error)) => bail!("{error}"),
        Err(error) => bail!("Redis can't be used: {error}"),
    };
    let is_from_file = url.is_from_file();
    let reread: redis::Reread =
        Arc::new(move || redis::Address::of(url.current().expose_secret(), ca_file.as_deref()).ok());
    Ok(redis::Pool::open_fresh(address, is_from_file.then_some(reread), connections)?)
}

/// Makes the ports of a worker over real services, after looking at whether they are fit: a database of this release, the
/// right master key, a Redis that is new enough. Services that are away are waited for.
pub async fn ports(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    sealer: Arc<Sealer>,
) -> anyhow::Result<(Ports, PgPool)> {
    settings.require_all()?;
    let url = settings.database()?;
    // Read before anything is waited for: a file with errors is reported at once.
    host_caps(settings, &*clock)?;
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
    let redis = self::redis(settings, REDIS_CONNECTIONS)?;
    let look = async || redis::check(&redis, &settings.redis_prefix, settings.shards).await;
    match wait_until_available(&*clock, "Redis", away, look).await {
        Ok(warnings) => warnings.iter().for_each(|warning| tracing::warn!("{warning}")),
        Err(PortError::Permanent(error) | PortError::Denied(error)) => bail!("Redis can't be used: {error}"),
        Err(error) => bail!("Redis can't be used: {error}; check REDIS_URL"),
    }
    // Again: Redis may have been waited for while somebody changed the number.
    migrate::check_shards(&database, settings.shards).await?;
    let mailer = SmtpMailer::new(smtp(settings), sealer, Arc::clone(&clock))?;
    let bell = RedisNotifier::new(redis.clone(), &settings.redis_prefix, Arc::clone(&clock));
    let limited = limited_caps(settings, redis.clone(), &clock)?;
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

/// How mails are submitted, and mailboxes tried out.
pub fn smtp(settings: &Settings) -> SmtpConfig {
    SmtpConfig {
        smtp_timeout: settings.smtp_timeout,
        mail_deadline: settings.mail_deadline(),
        allow_plaintext: settings.allow_plaintext,
        allow_private_hosts: settings.allow_private_hosts,
        tls_ca_file: settings.tls_ca_file.clone(),
        header: settings.header.clone(),
        hello_name: settings.helo_name.clone(),
    }
}

/// The caps of a configuration.
pub fn caps(settings: &Settings) -> CapLimits {
    CapLimits {
        global_hour: settings.global_hourly_limit,
        global_minute: settings.global_minute_limit,
        user_hour: settings.user_hourly_limit,
        user_minute: settings.user_minute_limit,
        burst: settings.cap_burst,
    }
}

/// The caps in Redis with all limits of a configuration, also those of single mail hosts.
pub fn limited_caps(settings: &Settings, redis: redis::Pool, clock: &Arc<dyn Clock>) -> anyhow::Result<RedisCaps> {
    let caps = RedisCaps::new(redis, &settings.redis_prefix, caps(settings)).context("caps")?;
    Ok(caps.with_clock(Arc::clone(clock)).with_hosts(host_caps(settings, &**clock)?))
}

/// The caps of single mail hosts, after their file.
fn host_caps(settings: &Settings, clock: &dyn Clock) -> anyhow::Result<HostCaps> {
    let lasts = clock.caps_span(settings.mail_deadline() + MARGIN);
    HostCaps::of(&settings.host_limits()?, settings.cap_burst, lasts).context("limits of mail hosts")
}

/// What the worker is called. One without a name takes the host's and a random part, another at each call.
pub fn worker_name(settings: &Settings) -> WorkerId {
    settings.worker_id.clone().map_or_else(random_name, WorkerId)
}

/// The worker's part of the settings, in the fleet that the database is of.
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
