//! `BenchEnvironment` starts private servers or takes existing ones, and enrols mailboxes that owe all their
//! mails at once.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use anyhow::bail;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, NaiveTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::send::Args;
use crate::{
    adapters::{
        postgres::{migrate, pool},
        seal::Sealer,
    },
    admin::import,
    app::benchmark::mailboxes,
    cli::session,
    config::{Settings, environment},
    domain::enrolment::Rules,
    local::servers::{Durability, PrivatePostgres, PrivateRedis},
};

/// What a mailbox owes: a day of one that is grown up.
const QUOTA: u64 = 30;
/// Mailboxes that send at least, for each lane: one that has just sent waits for its settlement.
const MAILBOXES_A_LANE: u64 = 4;
/// After the windows and before the end of the active hours, so that whoever still owes is to catch up at once.
const BEGINS: (u32, u32) = (18, 0);

/// Running servers with enrolled mailboxes.
pub(super) struct BenchEnvironment {
    pub(super) settings: Settings,
    pub(super) mailboxes: u64,
    servers: Option<(PrivatePostgres, PrivateRedis)>,
}

/// The instant at which the bench's day clock starts: today.
pub(super) fn begins() -> DateTime<Utc> {
    let time = NaiveTime::from_hms_opt(BEGINS.0, BEGINS.1, 0).unwrap_or_default();
    session::now().date_naive().and_time(time).and_utc()
}

impl BenchEnvironment {
    /// Starts or takes the servers, and enrols as many mailboxes as `args` needs.
    pub(super) async fn set(
        folder: &Path,
        args: &Args,
        password: Option<&SecretString>,
    ) -> anyhow::Result<BenchEnvironment> {
        let (urls, servers) = if args.given_servers { (given()?, None) } else { own(folder, args).await? };
        let settings = settings(urls, args)?;
        let database = pool::connect(settings.require_database()?, settings.db_pool).await?;
        // This check precedes the migration: a bench must not migrate the database of a fleet.
        let there = mailboxes(&database).await?;
        if there > 0 {
            bail!(
                "the database of DATABASE_URL has {there} mailboxes: give one that is empty, for a bench sends what they owe"
            );
        }
        migrate::migrate(&database, settings.shards, begins()).await?;
        let (csv, mailboxes) = csv(args, password);
        let sealer = Sealer::new(settings.require_master_key()?.expose());
        let options = import::Options { now: begins(), dry_run: false, progress: &|_, _| {} };
        import::import(&database, &sealer, &Rules::from(&settings), csv.as_bytes(), &options).await?;
        if password.is_none() {
            // A mailbox without a user name does not log in. A CSV file can't express that.
            sqlx::query("UPDATE mailboxes SET username = ''").execute(&database).await?;
        }
        database.close().await;
        Ok(BenchEnvironment { settings, mailboxes, servers })
    }

    /// Stops what is its own.
    pub(super) async fn stop(self) {
        if let Some((postgres, redis)) = self.servers {
            redis.stop().await;
            postgres.stop().await;
        }
    }
}

type Urls = Vec<(&'static str, String)>;

fn given() -> anyhow::Result<Urls> {
    let (settings, _) = session::settings()?;
    Ok(vec![
        ("DATABASE_URL", settings.require_database()?.expose_secret().to_owned()),
        ("REDIS_URL", settings.require_redis()?.expose_secret().to_owned()),
    ])
}

async fn own(folder: &Path, args: &Args) -> anyhow::Result<(Urls, Option<(PrivatePostgres, PrivateRedis)>)> {
    let durability = if args.no_fsync { Durability::Throwaway } else { Durability::Durable };
    let servers = tokio::try_join!(PrivatePostgres::start(folder, durability), PrivateRedis::start(folder))?;
    let urls = vec![("DATABASE_URL", servers.0.url().to_owned()), ("REDIS_URL", servers.1.url())];
    Ok((urls, Some(servers)))
}

/// The defaults with what a bench needs: nothing rests, caps count and never refuse, all is released at once.
fn settings(urls: Urls, args: &Args) -> anyhow::Result<Settings> {
    let most = 1_000_000.to_string();
    let mut vars: BTreeMap<String, String> = urls.into_iter().map(|(name, url)| (name.to_owned(), url)).collect();
    let mut set = |name: &str, value: String| vars.insert(name.to_owned(), value);
    // An existing Redis may hold keys of a fleet, or of an earlier bench whose day began at the same hour. A
    // random prefix separates them.
    set("WARMUP_REDIS_PREFIX", format!("warmup-bench-{:08x}", rand::random::<u32>()));
    set("WARMUP_MASTER_KEY", STANDARD.encode(rand::random::<[u8; 32]>()));
    set("WARMUP_ALLOW_PRIVATE_HOSTS", "true".to_owned());
    set("WARMUP_ALLOW_PLAINTEXT", "true".to_owned());
    set("WARMUP_MAX_CONCURRENT", args.concurrency.to_string());
    set("WARMUP_BATCH_SIZE", args.batch.to_string());
    for rest in ["STAGGER_MIN_MS", "STAGGER_MAX_MS", "MAILBOX_COOLDOWN_MIN_MS", "MAILBOX_COOLDOWN_MAX_MS"] {
        set(&format!("WARMUP_{rest}"), "0".to_owned());
    }
    set("WARMUP_CRON_SPREAD_MINUTES", "0".to_owned());
    for cap in ["GLOBAL_HOURLY_LIMIT", "GLOBAL_MINUTE_LIMIT", "USER_HOURLY_LIMIT", "USER_MINUTE_LIMIT"] {
        set(&format!("WARMUP_{cap}"), most.clone());
    }
    set("WARMUP_CAP_BURST", "0.5".to_owned());
    let ca = args.ca.clone().map(|path| path.display().to_string());
    let ca = ca.or_else(|| environment().get("WARMUP_TLS_CA_FILE").cloned());
    ca.map(|ca| set("WARMUP_TLS_CA_FILE", ca));
    Ok(Settings::from_vars(&vars)?.0)
}

/// Mailboxes that owe exactly as many mails as are to be sent, and answer none. Returns how many they are, too.
fn csv(args: &Args, password: Option<&SecretString>) -> (String, u64) {
    let Args { sends, smtp, security, domain, .. } = args;
    let mailboxes = sends.div_ceil(QUOTA).max(u64::from(args.concurrency) * MAILBOXES_A_LANE).min(*sends);
    let (each, more) = (sends / mailboxes, sends % mailboxes);
    let password = password.map_or("none", |password| password.expose_secret());
    let login = args.login.as_deref().unwrap_or_default();
    let mut csv =
        "email,password,smtp_host,smtp_port,smtp_security,username,ramp_start,daily_max,reply_rate\n".to_owned();
    for n in 0..mailboxes {
        let quota = each + u64::from(n < more);
        let (host, port, security) = (&smtp.host, smtp.port, security.as_str());
        // Writing to a String can't fail.
        let _ = writeln!(csv, "m{n}@{domain},{},{host},{port},{security},{login},{quota},{quota},0", quoted(password));
    }
    (csv, mailboxes)
}

/// A cell of a CSV file (RFC 4180 section 2).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
