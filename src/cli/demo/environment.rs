//! `DemoEnvironment` starts private servers and a mail host, enrols the mailboxes, and makes the settings of the
//! demo.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::PgPool;

use super::{QUOTA, mailboxes};
use crate::{
    adapters::{
        postgres::{migrate, pool},
        seal::Sealer,
    },
    admin::import,
    api::Listeners,
    cli::dashboard,
    config::Settings,
    demo::sink::{self, SinkHandle},
    domain::enrolment::Rules,
    local::servers::{Durability, PrivatePostgres, PrivateRedis},
};

pub(super) struct DemoEnvironment {
    settings: Settings,
    database: PgPool,
    postgres: PrivatePostgres,
    redis: PrivateRedis,
    sink: SinkHandle,
    enrolled: usize,
    token: SecretString,
}

impl DemoEnvironment {
    /// Starts everything in `folder` and enrols the mailboxes as `warmup mailbox import` would.
    pub(super) async fn set(
        folder: &Path,
        mailboxes: u16,
        faults: u8,
        seed: u64,
        begins: DateTime<Utc>,
    ) -> anyhow::Result<DemoEnvironment> {
        let (postgres, redis) =
            tokio::try_join!(PrivatePostgres::start(folder, Durability::Throwaway), PrivateRedis::start(folder))?;
        let password = format!("{:032x}", rand::random::<u128>());
        let password_file = folder.join("password");
        std::fs::write(&password_file, &password)?;
        let options = sink::Options {
            journal: folder.join("journal.jsonl"),
            ca: folder.join("ca.pem"),
            faults,
            seed,
            password_file: Some(password_file),
        };
        let sink = sink::spawn(&std::env::current_exe()?, &options).await?;
        let mut settings = settings(&postgres, &redis, &sink)?;
        let token = dashboard::let_in(&mut settings);
        let database = pool::connect(settings.require_database()?, settings.db_pool).await?;
        migrate::migrate(&database, settings.shards, begins).await?;
        let sealer = Sealer::new(settings.require_master_key()?.expose());
        let csv = mailboxes::csv(mailboxes, sink.port(), &password, QUOTA);
        let options = import::Options { now: begins, dry_run: false, progress: &|_, _| {} };
        let report = import::import(&database, &sealer, &Rules::from(&settings), csv.as_bytes(), &options).await?;
        Ok(DemoEnvironment { settings, database, postgres, redis, sink, enrolled: report.new.len(), token })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn database(&self) -> &PgPool {
        &self.database
    }

    pub(super) fn journal(&self) -> &Path {
        self.sink.journal()
    }

    /// Returns what is shown before the day: all that differs from production.
    pub(super) fn programme(&self, speed: f64) -> String {
        let mut text = format!(
            "{} mailboxes of one owner in 6 domains, {QUOTA} mails each, 08:45 to 17:15, through the production path.\n\
             What differs from the defaults:\n  the day clock runs {speed} times as fast\n  ramp_start {QUOTA} (default 3)\n",
            self.enrolled
        );
        for differing in self.settings.overrides() {
            let default = if differing.default.is_empty() { "none" } else { &differing.default };
            text.push_str(&format!("  {}={} (default {default})\n", differing.name, differing.value));
        }
        text
    }

    /// Where the day can be watched, by whoever reads this.
    pub(super) fn dashboard(&self, listeners: &Listeners) -> io::Result<String> {
        Ok(dashboard::address(listeners.api.local_addr()?, Some(&self.token)))
    }

    /// Stops the servers. Returns where the journal is.
    pub(super) async fn stop(self) -> anyhow::Result<PathBuf> {
        let journal = self.sink.journal().to_owned();
        self.sink.stop().await?;
        self.database.close().await;
        self.redis.stop().await;
        self.postgres.stop().await;
        Ok(journal)
    }
}

/// The defaults with what is private to this demo. The environment is left out: the demo shows the same everywhere.
fn settings(postgres: &PrivatePostgres, redis: &PrivateRedis, sink: &SinkHandle) -> anyhow::Result<Settings> {
    let vars: BTreeMap<String, String> = [
        ("DATABASE_URL", postgres.url().to_owned()),
        ("REDIS_URL", redis.url()),
        ("WARMUP_MASTER_KEY", STANDARD.encode(rand::random::<[u8; 32]>())),
        ("WARMUP_TLS_CA_FILE", sink.ca_file().display().to_string()),
        ("WARMUP_ALLOW_PRIVATE_HOSTS", "true".to_owned()),
        ("WARMUP_HTTP_ADDR", "127.0.0.1:0".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    Ok(Settings::from_vars(&vars)?.0)
}
