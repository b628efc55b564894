//! This module creates the clients of Postgres, Redis and mail hosts from the settings.

use std::sync::Arc;

use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use sqlx::PgPool;

use super::{
    postgres::pool,
    redis::{self, RedisCaps},
    smtp::SmtpConfig,
};
use crate::{
    config::Settings,
    domain::caps::{CapLimits, HostCaps, MARGIN},
    ports::{Clock, PortError},
};

/// Connects to Postgres, and returns the pool once the server has answered.
pub async fn database(settings: &Settings) -> anyhow::Result<PgPool> {
    Ok(pool::connect(settings.require_database()?, settings.db_pool).await?)
}

/// Opens a pool of connections to Redis, which need not be reachable. The URL decides about TLS; the operator's roots
/// are trusted too.
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

/// Returns the configuration of the SMTP client.
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

/// Returns the fleet and user caps of the settings.
pub fn caps(settings: &Settings) -> CapLimits {
    CapLimits {
        global_hour: settings.global_hourly_limit,
        global_minute: settings.global_minute_limit,
        user_hour: settings.user_hourly_limit,
        user_minute: settings.user_minute_limit,
        burst: settings.cap_burst,
    }
}

/// Creates the caps in Redis with all limits of the settings, also those of single mail hosts.
pub fn limited_caps(settings: &Settings, redis: redis::Pool, clock: &Arc<dyn Clock>) -> anyhow::Result<RedisCaps> {
    let caps = RedisCaps::new(redis, &settings.redis_prefix, caps(settings)).context("caps")?;
    Ok(caps.with_clock(Arc::clone(clock)).with_hosts(host_caps(settings, &**clock)?))
}

/// Reads the caps of single mail hosts from their file.
pub fn host_caps(settings: &Settings, clock: &dyn Clock) -> anyhow::Result<HostCaps> {
    let lasts = clock.caps_span(settings.mail_deadline() + MARGIN);
    HostCaps::of(&settings.host_limits()?, settings.cap_burst, lasts).context("limits of mail hosts")
}
