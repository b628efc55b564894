//! The first mails of a large fleet: a worker starts on a new database, right after the import of 100,000 mailboxes.
//!
//! Postgres waits for its disk, every setting has its default, and nobody analyses a table but the import itself.

use std::{fmt::Write, time::Duration};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use warmup::local::servers::{Durability, PrivatePostgres};
use warmup_support::{
    process::Binary,
    world::{eventually, redis},
};

use crate::{process::zone_at, sink::Sink};

const PROGRAM: &str = env!("CARGO_BIN_EXE_warmup");
const MAILBOXES: usize = 100_000;
const MAILBOXES_OF_A_USER: usize = 100;
/// As many as the default number of lanes.
const FIRST_MAILS: usize = 20;
/// Far more than the first mails take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_mails_of_100_000_new_mailboxes_need_no_second_tick() {
    let (cache, folder) = (redis().await, TempDir::new().unwrap());
    let server = PrivatePostgres::start(folder.path(), Durability::Durable).await.unwrap();
    assert_eq!(answer(server.url(), "SHOW fsync").await, "on");
    let sink = Sink::start().await;
    let binary = Binary::new(PROGRAM, server.url(), &cache.url())
        .with("WARMUP_TLS_CA_FILE", sink.ca_file())
        .with("WARMUP_HTTP_ADDR", "127.0.0.1:0")
        .with("WARMUP_LOG_FORMAT", "json");
    binary.command(&["migrate"], "").await;
    binary.command(&["mailbox", "import", "-"], &mailboxes(sink.port())).await;
    assert_eq!(answer(server.url(), "SELECT count(*)::text FROM mailboxes").await, "100000");

    let mut worker = binary.run();
    let address = worker.address().await;
    eventually(PATIENCE, async || sink.accepted().len() >= FIRST_MAILS).await;

    assert!(worker.is_alive(), "{}", worker.log());
    let metrics = get(&address, "/metrics").await;
    assert!(metrics.contains("warmup_postgres_call_seconds_count{call=\"candidates\"}"), "{metrics}");
    let failed: Vec<&str> = metrics.lines().filter(|line| line.starts_with("warmup_postgres_errors_total{")).collect();
    assert_eq!(failed, [""; 0], "every statement of every tick succeeded:\n{}", worker.log());
    for words in ["tick failed", "tick too slow", "scheduling is stopped", "heartbeat failed"] {
        assert!(!worker.log().contains(words), "{}", worker.log());
    }
    worker.terminate().await;
    assert!(worker.ended(PATIENCE).await.success(), "{}", worker.log());
}

/// A CSV file of mailboxes in the middle of their sending window.
fn mailboxes(smtp_port: u16) -> String {
    let zone = zone_at(12);
    let mut csv = String::from("email,password,smtp_host,smtp_port,smtp_security,timezone,user\n");
    for n in 0..MAILBOXES {
        let user = n / MAILBOXES_OF_A_USER;
        writeln!(csv, "box{n}@d{user}.test,secret,127.0.0.1,{smtp_port},starttls,{zone},owner{user}@users.test")
            .unwrap();
    }
    csv
}

async fn answer(url: &str, statement: &'static str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(statement).fetch_one(&mut connection).await.unwrap()
}

/// Returns the answer to a GET of `path`, with its head.
pub async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
