//! The table of settings is the one place that names a setting. It generates the typed [`Settings`], the
//! parser, the errors, `docs/CONFIG.md` and `warmup config show`, and tests compare them.
//!
//! Names and defaults are a contract with operators. A comment above a default that is our own choice gives
//! its reason.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use chrono_tz::Tz;
use secrecy::SecretString;

use super::{
    LogFormat, MasterKey,
    kind::{
        Flag, Kind, active_hours, choice, database_url, decimal, file, folder, header, helo_name, master_key,
        milliseconds, minutes, name, optional, prefix, redis_url, socket, time_zone, token, whole,
    },
    row::{Reader, Row, settings},
};
use crate::domain::time::Window;

/// The largest cap whose bucket is still counted exactly by a double, at any burst.
pub(super) const LARGEST_CAP: u32 = 1_000_000;

settings! {
    "Servers and secrets" {
        /// The Postgres database that holds mailboxes, ledger and logs.
        database_url: Option<SecretString> = "DATABASE_URL", "", optional(database_url());
        /// A file that holds DATABASE_URL, read again for new connections: a rotated password needs no restart.
        database_url_file: Option<PathBuf> = "DATABASE_URL_FILE", "", optional(file());
        /// The Redis server that holds leases, caps and announcements; nothing in it must last.
        redis_url: Option<SecretString> = "REDIS_URL", "", optional(redis_url());
        /// A file that holds REDIS_URL, read again for new connections: a rotated password needs no restart.
        redis_url_file: Option<PathBuf> = "REDIS_URL_FILE", "", optional(file());
        // Several fleets may share one Redis; each needs its own prefix.
        /// What the name of every Redis key of this fleet begins with.
        redis_prefix: String = "WARMUP_REDIS_PREFIX", "warmup", prefix();
        /// The key under which the mailboxes' passwords are sealed; without it they must be enrolled again.
        master_key: Option<MasterKey> = "WARMUP_MASTER_KEY", "", optional(master_key());
        /// A file that holds WARMUP_MASTER_KEY; a worker takes a rotated key from it and goes on.
        master_key_file: Option<PathBuf> = "WARMUP_MASTER_KEY_FILE", "", optional(file());
        /// A bearer token with all rights on the API, for the first steps; `warmup token create` makes lesser ones.
        admin_token: Option<SecretString> = "WARMUP_ADMIN_TOKEN", "", optional(token());
        /// A file that holds WARMUP_ADMIN_TOKEN, read again for new requests: a rotated token needs no restart.
        admin_token_file: Option<PathBuf> = "WARMUP_ADMIN_TOKEN_FILE", "", optional(file());
        // 20 lanes that settle in batches run two or three statements at once; heartbeat, sweep and API need
        // the rest.
        /// Connections to Postgres that a worker holds at most; the API beside it holds up to 4 more.
        db_pool: u32 = "WARMUP_DB_POOL", "10", whole(1..=1_000, "connections");
        /// A PEM file with further roots to trust besides the public ones, for a private CA of mail hosts or Redis.
        tls_ca_file: Option<PathBuf> = "WARMUP_TLS_CA_FILE", "", optional(file());
        // `folder.rs` computes the default, which depends on the user; for root it is /var/lib/warmup.
        /// The folder of `warmup local`, with its data and its key; by default `~/.local/share/warmup`.
        data_dir: Option<PathBuf> = "WARMUP_DATA_DIR", "", optional(folder());
    }

    "Sending" {
        /// Mails that are reserved together at most.
        batch_size: u32 = "WARMUP_BATCH_SIZE", "100", whole(1..=10_000, "mails");
        /// The lanes of a worker: mails it has under way at once.
        max_concurrent: u32 = "WARMUP_MAX_CONCURRENT", "20", whole(1..=10_000, "lanes");
        // The older system rested between batches; now each lane rests by itself, so the default is 0.
        /// The rest between two batches of a worker.
        batch_delay: Duration = "WARMUP_BATCH_DELAY_MS", "0", milliseconds(0..=3_600_000);
        /// The shortest rest of a lane after a mail.
        stagger_min: Duration = "WARMUP_STAGGER_MIN_MS", "1000", milliseconds(0..=3_600_000);
        /// The longest rest of a lane after a mail.
        stagger_max: Duration = "WARMUP_STAGGER_MAX_MS", "5000", milliseconds(0..=3_600_000);
        /// The shortest time before the same mailbox sends again.
        mailbox_cooldown_min: Duration = "WARMUP_MAILBOX_COOLDOWN_MIN_MS", "180000", milliseconds(0..=86_400_000);
        /// The longest time before the same mailbox sends again.
        mailbox_cooldown_max: Duration = "WARMUP_MAILBOX_COOLDOWN_MAX_MS", "600000", milliseconds(0..=86_400_000);
        /// How long a mail host may take for each step up to the final dot; its greeting may take ten times as long.
        smtp_timeout: Duration = "WARMUP_SMTP_TIMEOUT_MS", "30000", milliseconds(100..=600_000);
        /// How long an IMAP server may take for each step.
        imap_timeout: Duration = "WARMUP_IMAP_TIMEOUT_MS", "30000", milliseconds(100..=600_000);
        /// The name that workers give mail hosts in EHLO; by default the machine's full name, else its address.
        helo_name: Option<String> = "WARMUP_HELO_NAME", "", optional(helo_name());
        /// The header field that marks a warm-up mail, so that its owner can filter it.
        header: String = "WARMUP_HEADER", "X-Warmup", header();
        /// A file with texts for mails and replies, instead of the stored or built-in ones.
        templates_file: Option<PathBuf> = "WARMUP_TEMPLATES_FILE", "", optional(file());
        /// A file with limits for single mail hosts.
        host_limits_file: Option<PathBuf> = "WARMUP_HOST_LIMITS_FILE", "", optional(file());
        /// Whether a mailbox may be spoken to without encryption: its password travels in the clear.
        allow_plaintext: bool = "WARMUP_ALLOW_PLAINTEXT", "false", Flag;
        /// Whether a mail host may have a private or loopback address.
        allow_private_hosts: bool = "WARMUP_ALLOW_PRIVATE_HOSTS", "false", Flag;
    }

    "Caps" {
        /// Mails and replies of the fleet in any hour.
        global_hourly_limit: u32 = "WARMUP_GLOBAL_HOURLY_LIMIT", "10000", whole(0..=LARGEST_CAP, "mails");
        /// Mails and replies of the fleet in any minute.
        global_minute_limit: u32 = "WARMUP_GLOBAL_MINUTE_LIMIT", "200", whole(0..=LARGEST_CAP, "mails");
        /// Mails and replies of one user in any hour.
        user_hourly_limit: u32 = "WARMUP_USER_HOURLY_LIMIT", "500", whole(0..=LARGEST_CAP, "mails");
        /// Mails and replies of one user in any minute.
        user_minute_limit: u32 = "WARMUP_USER_MINUTE_LIMIT", "50", whole(0..=LARGEST_CAP, "mails");
        /// What a user sends in a day at most, as a multiple of the user's own daily limit, where one is set.
        user_daily_cap: f64 = "WARMUP_USER_DAILY_CAP", "1.2", decimal(0.0..=100.0, "times the daily limit");
        // More mailboxes than one person warms up, and few enough that one account is not most of a large
        // fleet.
        /// The mailboxes that a user may enrol over the API; what an admin enrols for a user is not limited.
        user_mailbox_limit: u32 = "WARMUP_USER_MAILBOX_LIMIT", "1000", whole(0..=1_000_000, "mailboxes");
        // The burst reduces the steady rate: with a twentieth, a limit of 200 a minute carries 175 steadily.
        /// The part of a limit that may go at once after a silence.
        cap_burst: f64 = "WARMUP_CAP_BURST", "0.05", decimal(0.0..=1.0, "share of a limit");
        /// How long a mail that a cap refused waits at most before it asks again.
        rate_limit_backoff: Duration = "WARMUP_RATE_LIMIT_BACKOFF_MS", "10000", milliseconds(10..=3_600_000);
    }

    "Day and quota" {
        /// The quota guaranteed to a warmed-up mailbox, and so the default of its daily maximum.
        min_daily_quota: u16 = "WARMUP_MIN_DAILY_QUOTA", "30", whole(1..=1_000, "mails");
        /// How much more urgent a mailbox is that is behind its plan.
        quota_priority_boost: f64 = "WARMUP_QUOTA_PRIORITY_BOOST", "2.0", decimal(1.0..=100.0, "times");
        /// The time from one tick of the scheduler to the next.
        cron_interval: Duration = "WARMUP_CRON_INTERVAL_MINUTES", "15", minutes(1..=240);
        /// The time after a tick over which its mails are released, the most urgent first.
        cron_spread: Duration = "WARMUP_CRON_SPREAD_MINUTES", "10", minutes(0..=240);
        /// The shortest time after which a mail is replied to.
        reply_delay_min: Duration = "WARMUP_REPLY_DELAY_MIN", "5", minutes(0..=1_440);
        /// The longest time after which a mail is replied to.
        reply_delay_max: Duration = "WARMUP_REPLY_DELAY_MAX", "240", minutes(0..=1_440);
        /// The zone of mailboxes without one, and of the leader's daily duties.
        timezone: Tz = "WARMUP_TIMEZONE", "UTC", time_zone();
        // A person's waking hours: a mail at 03:00 looks automatic.
        /// The hours of a mailbox's day in which it replies, and catches up on what its window left.
        active_hours: Window = "WARMUP_ACTIVE_HOURS", "07:00-22:00", active_hours();
    }

    "Fleet" {
        /// Whether several workers share the mailboxes; otherwise a second one refuses to start.
        distributed_mode: bool = "WARMUP_DISTRIBUTED_MODE", "false", Flag;
        /// The name of this worker, unique in the fleet; by default the host name and a random part.
        worker_id: Option<String> = "WARMUP_WORKER_ID", "", optional(name());
        /// How many workers are expected: for a metric and an alert, never for correctness.
        worker_count: u32 = "WARMUP_WORKER_COUNT", "1", whole(1..=10_000, "workers");
        // 12 shards for each of 20 workers: the smallest and the largest load differ by one shard, 8 percent.
        /// The groups of mailboxes that workers share out among them; `warmup migrate` changes it while no worker runs.
        shards: u16 = "WARMUP_SHARDS", "256", whole(1..=4_096, "shards");
        // The time for which a dead worker's mailboxes send nothing.
        /// How long a worker owns a shard without renewing it.
        lease_ttl: Duration = "WARMUP_LEASE_TTL_MS", "15000", milliseconds(300..=600_000);
        // A third of the lease: one renewal may be lost and a second one late, and the lease is still valid.
        /// The time from one renewal of a worker's leases to the next.
        heartbeat: Duration = "WARMUP_HEARTBEAT_MS", "5000", milliseconds(100..=60_000);
        // Room for the one mail that began just before (50 s), and less than the grace period of the pod.
        /// How long a stopping worker may take to finish and settle what it started.
        drain_timeout: Duration = "WARMUP_DRAIN_TIMEOUT_MS", "60000", milliseconds(1_000..=3_600_000);
    }

    "Looking at it" {
        // Only this machine may connect until the operator decides otherwise.
        /// Where the API and the dashboard listen.
        http_addr: SocketAddr = "WARMUP_HTTP_ADDR", "127.0.0.1:8080", socket();
        /// Where `/metrics` listens, when it should have an address of its own.
        metrics_addr: Option<SocketAddr> = "WARMUP_METRICS_ADDR", "", optional(socket());
        /// Whether metrics are kept by worker and stage, not only for the fleet.
        enable_detailed_metrics: bool = "WARMUP_ENABLE_DETAILED_METRICS", "true", Flag;
        /// Days for which log rows are kept.
        log_retention_days: u32 = "WARMUP_LOG_RETENTION_DAYS", "90", whole(1..=3_650, "days");
        /// Days for which the history of metrics is kept.
        metrics_retention_days: u32 = "WARMUP_METRICS_RETENTION_DAYS", "30", whole(1..=3_650, "days");
        // An operator reads the log first; a log collector is set up later and needs JSON.
        /// How the program's own log is written.
        log_format: LogFormat = "WARMUP_LOG_FORMAT", "text", choice();
    }
}
