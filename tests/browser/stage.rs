//! What a dashboard shows: servers, a mail host, the mailboxes of two owners, and the binary.
//!
//! The binary lives on the real clock. So that everything is due at once, the mailboxes live in a zone in which it is after
//! nine in the evening now, and their window is the whole day. They owe more than any test sees sent.

use std::{net::TcpListener, time::Duration};

use chrono::{Timelike, Utc};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use warmup::demo::sink::{self, SinkHandle, read_journal};
use warmup_support::{
    process::{Binary, NOTHING_WAITS, Running},
    world::{self, TestDatabase, TestRedis, eventually},
};

/// Far longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

const QUOTA: usize = 300;

/// A mail a second for each mailbox.
const QUICK: [(&str, &str); 2] =
    [("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "1000"), ("WARMUP_MAILBOX_COOLDOWN_MAX_MS", "1000")];

pub struct Fixture {
    database: TestDatabase,
    pub redis: TestRedis,
    sink: SinkHandle,
    binary: Binary,
    port: u16,
    _folder: TempDir,
}

impl Fixture {
    /// Ann and Ben, with as many mailboxes each.
    pub async fn of_two(mailboxes: usize) -> Fixture {
        let (database, redis, folder) = (world::postgres().await, world::redis().await, TempDir::new().unwrap());
        let options = sink::Options {
            journal: folder.path().join("journal.jsonl"),
            ca: folder.path().join("ca.pem"),
            faults: 0,
            seed: 0,
            password_file: None,
        };
        let sink = sink::spawn(env!("CARGO_BIN_EXE_warmup").as_ref(), &options).await.unwrap();
        let port = free_port();
        let mut binary = Binary::new(env!("CARGO_BIN_EXE_warmup"), database.url(), &redis.url());
        for (name, value) in NOTHING_WAITS.into_iter().chain(QUICK) {
            binary = binary.with(name, value);
        }
        let binary = binary
            .with("WARMUP_TLS_CA_FILE", options.ca.display())
            .with("WARMUP_WORKER_ID", "worker-1")
            .with("WARMUP_HTTP_ADDR", format!("127.0.0.1:{port}"));
        binary.command(&["migrate"], "").await;
        binary.command(&["mailbox", "import", "-"], &csv(mailboxes, sink.port())).await;
        world::enrolled_long_ago(database.url()).await;
        Fixture { database, redis, sink, binary, port, _folder: folder }
    }

    /// Starts the worker, and returns once it answers.
    pub async fn start(&self) -> Running {
        let running = self.binary.run();
        eventually(PATIENCE, async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()).await;
        running
    }

    /// Where the dashboard is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// A new token of this user.
    pub async fn token(&self, user: &str) -> String {
        self.binary.command(&["token", "create", "--user", user], "").await.trim().to_owned()
    }

    /// A new token of an admin.
    pub async fn admin(&self) -> String {
        self.token("operator@localhost").await
    }

    pub async fn command(&self, arguments: &[&str]) -> String {
        self.binary.command(arguments, "").await
    }

    /// Imports further mailboxes.
    pub async fn import(&self, csv: &str) {
        self.binary.command(&["mailbox", "import", "-"], csv).await;
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// How many mails of this mailbox, or of all, the mail host took.
    pub fn taken_from(&self, mailbox: Option<&str>) -> usize {
        let taken = read_journal(self.sink.journal()).unwrap();
        taken.iter().filter(|mail| mailbox.is_none_or(|mailbox| mail.from == mailbox)).count()
    }

    /// Returns once the worker has beaten so often from now on: it lives, and sends whatever it would send.
    pub async fn beats(&self, times: u64) {
        let before = self.heartbeats().await;
        eventually(PATIENCE, async || self.heartbeats().await >= before + times).await;
    }

    /// How many heartbeats the worker has counted.
    async fn heartbeats(&self) -> u64 {
        const COUNTER: &str = "warmup_redis_call_seconds_count{call=\"heartbeat\"} ";
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        connection.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut told = String::new();
        connection.read_to_string(&mut told).await.unwrap();
        told.lines().find_map(|line| line.trim().strip_prefix(COUNTER)).map_or(0, |count| count.trim().parse().unwrap())
    }

    /// Waits until this mailbox, or any, has nothing on its way.
    pub async fn has_nothing_on_its_way(&self, mailbox: Option<&str>) {
        const FLYING: &str = "
            SELECT count(*) FROM in_flight f JOIN mailboxes m ON m.id = f.mailbox_id WHERE m.email = coalesce($1, m.email)";
        let flying = async || sqlx::query_scalar::<_, i64>(FLYING).bind(mailbox).fetch_one(self.pool()).await.unwrap();
        eventually(PATIENCE, async || flying().await == 0).await;
    }
}

/// Nobody has it now. The server needs it twice, so that a page finds it again.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn csv(mailboxes: usize, port: u16) -> String {
    let zone = evening();
    let mut csv = String::from(
        "email,password,smtp_host,smtp_port,smtp_security,user,display_name,timezone,window,ramp_start,daily_max\n",
    );
    for n in 0..mailboxes {
        for owner in ["ann", "ben"] {
            csv += &format!(
                "{owner}{n}@{owner}.test,secret,127.0.0.1,{port},starttls,{owner}@{owner}.test,Box {n},{zone},00:00-24:00,\
                 {QUOTA},{QUOTA}\n"
            );
        }
    }
    csv
}

/// A zone in which it is between 21:15 and 22:15.
#[expect(clippy::disallowed_methods, reason = "the binary under test runs on the real clock")]
fn evening() -> String {
    let now = Utc::now();
    let hour = if now.minute() < 15 { 22 } else { 21 };
    let ahead = (hour - now.hour() as i32 + 24) % 24;
    // The signs of these names are those of POSIX: GMT-4 is four hours ahead of UTC.
    if ahead <= 14 { format!("Etc/GMT-{ahead}") } else { format!("Etc/GMT+{}", 24 - ahead) }
}
