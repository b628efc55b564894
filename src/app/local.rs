//! `Local` runs a worker on private servers in a data folder, and brings their database to this release.
//!
//! ```text
//!   data folder (lock, key) ─▶ stop leftovers ─▶ Postgres, Redis ─▶ migrate ─▶ check the key ─▶ announce ─▶ serve
//!                                            stop: worker ─▶ withdraw ─▶ Redis ─▶ Postgres ─▶ lock
//! ```
//!
//! If any step fails, the servers that were started end with it.

use std::{convert::Infallible, path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::serve;
use crate::{
    adapters::{
        from_settings,
        postgres::{keyring, migrate},
        seal::Sealer,
    },
    api::Listeners,
    config::Settings,
    local::{
        data_dir::{DataDir, FoundKey, RunningServers, install_key, kept_keys, prepared_key},
        servers::{Durability, PrivatePostgres, PrivateRedis, restart_on_exit, stop_leftovers},
    },
    observe::telemetry::Telemetry,
    ports::{Clock, Entropy},
    worker::DrainReport,
};

/// A `Local` holds the running servers, their data folder, and the settings that name them.
pub struct Local {
    settings: Settings,
    database: PgPool,
    /// The key file; `None` if `WARMUP_MASTER_KEY` is set.
    key: Option<FoundKey>,
    redis: PrivateRedis,
    postgres: PrivatePostgres,
    /// The data folder. It is the last field, so that its lock outlives the servers.
    home: DataDir,
}

impl Local {
    /// Starts the servers in `home` and migrates the database to this release. `settings` name no servers yet.
    pub async fn start(home: DataDir, mut settings: Settings, now: DateTime<Utc>) -> anyhow::Result<Local> {
        let key = match &settings.master_key {
            Some(_) => None,
            None => Some(home.master_key()?),
        };
        stop_leftovers(&home).await?;
        let postgres = PrivatePostgres::start(home.path(), Durability::Durable).await?;
        let redis = PrivateRedis::start(home.path()).await?;
        settings.database_url = Some(postgres.url().into());
        settings.redis_url = Some(redis.url().into());
        if let Some(found) = &key {
            (settings.master_key, settings.master_key_file) = (Some(found.key.clone()), Some(found.path.clone()));
        }
        let database = from_settings::database(&settings).await?;
        migrate::migrate(&database, settings.shards, now).await?;
        let mut local = Local { settings, database, key, redis, postgres, home };
        local.check_key().await?;
        local.home.announce(&local.addresses())?;
        Ok(local)
    }

    /// Returns the addresses of the servers and the process id.
    pub fn addresses(&self) -> RunningServers {
        let (database_url, redis_url) = (self.postgres.url().to_owned(), self.redis.url());
        RunningServers { pid: std::process::id(), database_url, redis_url }
    }

    /// Restarts servers that ended, as long as the caller awaits this future.
    pub async fn keep_up(&mut self) -> Infallible {
        restart_on_exit(&mut self.postgres, &mut self.redis).await
    }

    /// Returns the settings, with the servers and the key in them.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes the values of `fresh`, but retains the servers, the key, the admin token and the data folder.
    pub fn adopt(&mut self, fresh: Settings) {
        let Settings { database_url, redis_url, master_key, master_key_file, admin_token, data_dir, .. } =
            self.settings.clone();
        self.settings =
            Settings { database_url, redis_url, master_key, master_key_file, admin_token, data_dir, ..fresh };
    }

    /// Returns the pool of the database, which has the schema of this release.
    pub fn database(&self) -> &PgPool {
        &self.database
    }

    /// Returns the path of the data folder.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Returns the key file; `None` if `WARMUP_MASTER_KEY` is set.
    pub fn key(&self) -> Option<&FoundKey> {
        self.key.as_ref()
    }

    /// Returns the sealer for the passwords of this folder.
    pub fn sealer(&self) -> anyhow::Result<Sealer> {
        Ok(Sealer::new(self.settings.require_master_key()?.expose()))
    }

    /// Runs the worker of `warmup run` until `stop` is cancelled, and restarts servers that end meanwhile.
    pub async fn serve(
        &mut self,
        telemetry: &Telemetry,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        announce: impl FnOnce(&Listeners),
        stop: CancellationToken,
    ) -> anyhow::Result<DrainReport> {
        tokio::select! {
            biased;
            report = serve::serve(&self.settings, telemetry, clock, entropy, announce, stop) => report,
            never = restart_on_exit(&mut self.postgres, &mut self.redis) => match never {},
        }
    }

    /// Stops the servers and returns when they have ended.
    pub async fn stop(self) {
        self.home.withdraw();
        self.database.close().await;
        self.redis.stop().await;
        self.postgres.stop().await;
        tracing::info!("Redis and Postgres stopped");
    }

    async fn check_key(&mut self) -> anyhow::Result<()> {
        let Err(error) = keyring::check(&self.database, &self.sealer()?).await else { return Ok(()) };
        let Some(path) = self.key.as_ref().map(|found| found.path.clone()) else { return Err(error.into()) };
        if self.finish_rotation().await? {
            return Ok(());
        }
        let path = path.display();
        let instead = match self.kept_key().await {
            Some(kept) => format!("the key that an earlier rotation kept is: `cp {} {path}`", kept.path.display()),
            None => "put it back from your copy".to_owned(),
        };
        Err(anyhow::Error::from(error).context(format!("{path} is not the key of the data beside it: {instead}")))
    }

    /// Installs a prepared key that the database uses already: a rotation was interrupted between the two steps.
    /// Returns true if it did.
    async fn finish_rotation(&mut self) -> anyhow::Result<bool> {
        let Some(prepared) = prepared_key(self.home.path())? else { return Ok(false) };
        if !self.fits(&prepared).await {
            return Ok(false);
        }
        install_key(self.home.path())?;
        tracing::warn!("a rotation of the master key was interrupted: the new key is installed now");
        self.settings.master_key = Some(prepared.key);
        Ok(true)
    }

    /// Returns the key of an earlier rotation that the database uses.
    async fn kept_key(&self) -> Option<FoundKey> {
        for kept in kept_keys(self.home.path()) {
            if self.fits(&kept).await {
                return Some(kept);
            }
        }
        None
    }

    async fn fits(&self, found: &FoundKey) -> bool {
        keyring::holds(&self.database, Sealer::new(found.key.expose()).key_id()).await.unwrap_or(false)
    }
}
