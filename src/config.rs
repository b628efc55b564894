//! Settings. A placeholder with the promised names; the real one is written elsewhere.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono_tz::Tz;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::domain::time::Window;

/// All faults of a configuration at once.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Faults(pub String);

/// Legal, but perhaps not meant.
#[derive(Debug)]
pub struct Warning(String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `WARMUP_MASTER_KEY`.
#[derive(Debug)]
pub struct MasterKey(SecretBox<[u8; 32]>);

impl MasterKey {
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

#[derive(Debug)]
pub struct Settings {
    pub database_url: Option<SecretString>,
    pub timezone: Tz,
    pub min_daily_quota: u16,
    pub shards: u16,
    pub db_pool: u32,
    pub allow_plaintext: bool,
    pub allow_private_hosts: bool,
    pub active_hours: Window,
    master_key: Option<MasterKey>,
}

impl Settings {
    pub fn from_env() -> Result<(Settings, Vec<Warning>), Faults> {
        let text = |name: &str| std::env::var(name).ok();
        let is = |name: &str| text(name).is_some_and(|value| value == "true");
        let number = |name: &str, default: u16| text(name).and_then(|value| value.parse().ok()).unwrap_or(default);
        let key = text("WARMUP_MASTER_KEY").and_then(|key| STANDARD.decode(key).ok());
        let settings = Settings {
            database_url: text("DATABASE_URL").map(SecretString::from),
            timezone: text("WARMUP_TIMEZONE").and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC),
            min_daily_quota: number("WARMUP_MIN_DAILY_QUOTA", 30),
            shards: number("WARMUP_SHARDS", 256),
            db_pool: u32::from(number("WARMUP_DB_POOL", 10)),
            allow_plaintext: is("WARMUP_ALLOW_PLAINTEXT"),
            allow_private_hosts: is("WARMUP_ALLOW_PRIVATE_HOSTS"),
            active_hours: "07:00-22:00".parse().map_err(Faults)?,
            master_key: key.and_then(|key| key.try_into().ok()).map(|key| MasterKey(SecretBox::new(Box::new(key)))),
        };
        Ok((settings, Vec::new()))
    }

    pub fn require_database(&self) -> Result<&SecretString, Faults> {
        self.database_url.as_ref().ok_or_else(|| Faults("DATABASE_URL is not set".to_owned()))
    }

    pub fn require_master_key(&self) -> Result<&MasterKey, Faults> {
        self.master_key.as_ref().ok_or_else(|| Faults("WARMUP_MASTER_KEY is not set".to_owned()))
    }
}
