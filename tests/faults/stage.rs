//! A fleet for one test: a database, a proxy before it, a Redis, a mail host, enrolled mailboxes, and the binary.
//!
//! The binary lives on the real clock. So that everything is due at once, the mailboxes live in a zone in which it is
//! after nine in the evening now, and their window is the whole day: its quota is planned for the first 7/8 of it.

use std::{future::Future, time::Duration};

use chrono::{Timelike, Utc};
use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use warmup_support::{
    process::{Binary, Running},
    proxy::PostgresProxy,
    world::{self, TestDatabase, TestRedis},
};

use super::host::Host;

pub struct Fixture {
    pub database: TestDatabase,
    pub proxy: PostgresProxy,
    pub redis: TestRedis,
    pub host: Host,
    pub binary: Binary,
    probes: u16,
}

/// How many mailboxes there are and how many mails each owes.
#[derive(Clone, Copy)]
pub struct Cast {
    pub mailboxes: usize,
    pub quota: usize,
}

impl Cast {
    pub fn owed(self) -> usize {
        self.mailboxes * self.quota
    }
}

impl Fixture {
    /// Sets the stage; `settings` come over those of every test.
    pub async fn set(cast: Cast, settings: &[(&str, &str)]) -> Fixture {
        let (database, redis, host) = tokio::join!(world::postgres(), world::redis(), Host::start());
        let proxy = PostgresProxy::to(database.url()).await;
        let mut binary = Binary::new(env!("CARGO_BIN_EXE_warmup"), proxy.url(), &redis.url());
        for (name, value) in USUAL.iter().chain(settings) {
            binary = binary.with(name, value);
        }
        let probes = free_port();
        binary = binary.with("WARMUP_HTTP_ADDR", format!("127.0.0.1:{probes}"));
        binary.command(&["migrate"], "").await;
        let stage = Fixture { database, proxy, redis, host, binary, probes };
        stage.enrol(cast, "m", ("127.0.0.1", stage.host.port())).await;
        world::enrolled_long_ago(stage.database.url()).await;
        stage
    }

    /// Enrols mailboxes whose addresses begin with `name`, at a mail host on this machine.
    pub async fn enrol(&self, cast: Cast, name: &str, host: (&str, u16)) {
        self.binary.command(&["mailbox", "import", "-"], &mailboxes(cast, name, host)).await;
    }

    /// What the worker answers to a readiness probe; `None` while it listens to nobody.
    pub async fn is_ready(&self) -> Option<bool> {
        let answer = self.readiness().await?;
        Some(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"))
    }

    /// The whole answer to a readiness probe.
    pub async fn readiness(&self) -> Option<String> {
        let mut tcp = TcpStream::connect(("127.0.0.1", self.probes)).await.ok()?;
        tcp.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    /// Makes the database refuse writes of new sessions, or take them again, and ends the worker's sessions.
    pub async fn read_only(&self, read_only: bool) {
        let mut session = self.pool().acquire().await.expect("Postgres runs");
        let name: String =
            sqlx::query_scalar("SELECT current_database()").fetch_one(&mut *session).await.expect("Postgres runs");
        let setting = format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = {read_only}");
        for statement in ["SET default_transaction_read_only = off", &setting, END_WORKERS] {
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *session).await.expect("Postgres runs");
        }
    }

    /// How many leases there are.
    pub async fn leases(&self) -> usize {
        let client = redis::Client::open(self.redis.url()).expect("a private server's address is well-formed");
        let mut redis = client.get_multiplexed_async_connection().await.expect("Redis runs");
        let keys: Vec<String> = redis::cmd("KEYS").arg("*:lease:*").query_async(&mut redis).await.expect("Redis runs");
        keys.len()
    }

    /// How many workers are members: as long as one is, its leases bind others.
    pub async fn members(&self) -> usize {
        let client = redis::Client::open(self.redis.url()).expect("a private server's address is well-formed");
        let mut redis = client.get_multiplexed_async_connection().await.expect("Redis runs");
        let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await.expect("Redis runs");
        let living = redis::cmd("ZCOUNT").arg("{warmup}:members").arg(seconds * 1_000).arg("+inf").to_owned();
        living.query_async(&mut redis).await.expect("Redis runs")
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Waits for `event`; should it not come, the test fails and shows what the worker said.
    pub async fn expect<T>(&self, what: &str, worker: &Running, event: impl Future<Output = T>) -> T {
        let came = timeout(PATIENCE, event).await;
        came.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}; the worker said:\n{}", worker.log()))
    }
}

/// Ends the sessions of the worker and its API, so that they connect anew.
const END_WORKERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name IN ('warmup', 'warmup api')";

/// Far longer than anything takes on a machine that does many other things.
const PATIENCE: Duration = Duration::from_secs(90);

/// Somebody else could take it before the worker does; then the worker does not start and says so.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback address has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// A patient machine needs seconds, a fleet that a test kills must not: leases and deadlines are short, caps never
/// refuse, nothing rests.
const USUAL: [(&str, &str); 19] = [
    ("WARMUP_SHARDS", "8"),
    ("WARMUP_ACTIVE_HOURS", "00:00-24:00"),
    ("WARMUP_CRON_INTERVAL_MINUTES", "1"),
    ("WARMUP_CRON_SPREAD_MINUTES", "0"),
    ("WARMUP_MAX_CONCURRENT", "4"),
    ("WARMUP_STAGGER_MIN_MS", "0"),
    ("WARMUP_STAGGER_MAX_MS", "0"),
    ("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "0"),
    ("WARMUP_MAILBOX_COOLDOWN_MAX_MS", "0"),
    ("WARMUP_GLOBAL_HOURLY_LIMIT", "1000000"),
    ("WARMUP_GLOBAL_MINUTE_LIMIT", "1000000"),
    ("WARMUP_USER_HOURLY_LIMIT", "1000000"),
    ("WARMUP_USER_MINUTE_LIMIT", "1000000"),
    ("WARMUP_RATE_LIMIT_BACKOFF_MS", "1000"),
    ("WARMUP_LEASE_TTL_MS", "1500"),
    ("WARMUP_HEARTBEAT_MS", "500"),
    ("WARMUP_SMTP_TIMEOUT_MS", "2000"),
    ("WARMUP_DRAIN_TIMEOUT_MS", "2400"),
    ("RUST_LOG", "info,sqlx=warn"),
];

fn mailboxes(cast: Cast, name: &str, (host, port): (&str, u16)) -> String {
    let mut csv = String::from(
        "email,password,smtp_host,smtp_port,smtp_security,timezone,window,ramp_start,ramp_step,daily_max\n",
    );
    for n in 0..cast.mailboxes {
        let (domain, zone, quota) = (n % 6, evening(), cast.quota);
        csv += &format!("{name}{n}@d{domain}.test,secret,{host},{port},none,{zone},00:00-24:00,{quota},0,{quota}\n");
    }
    csv
}

/// A zone in which it is between 21:15 and 22:15.
#[expect(clippy::disallowed_methods, reason = "the binary under test lives on the same clock")]
fn evening() -> String {
    let now = Utc::now();
    let hour = if now.minute() < 15 { 22 } else { 21 };
    let ahead = (hour - now.hour() as i32 + 24) % 24;
    // The signs of these names are those of POSIX: GMT-4 is four hours ahead of UTC.
    if ahead <= 14 { format!("Etc/GMT-{ahead}") } else { format!("Etc/GMT+{}", 24 - ahead) }
}
