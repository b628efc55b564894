//! This module opens pools of Postgres connections whose waits all end; its errors never show the URL's password.
//!
//! A server that vanishes silently (its machine died, a firewall dropped the connection) breaks no connection: a
//! statement just waits. So each wait has a limit here or in `session.rs`. All limits together are shorter than the
//! lease and two heartbeats, the time after which sending continues after an outage.

use std::{
    io,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use thiserror::Error;

/// The statement timeout of commands: longer than any statement takes on a healthy database, also that of a large
/// import.
const STATEMENT_TIMEOUT: &str = "30s";
/// The statement timeout of a worker, whose statements concern only its own shards; shorter than the wait in
/// `session.rs`.
const WORKER_STATEMENT_TIMEOUT: &str = "15s";
/// The limit of a worker's wait for a lock. A reserve that waits longer than 3 s is discarded anyway, and while it
/// waits it holds the rows of its shards. If its worker died, no other worker could own them for that time.
const WORKER_LOCK_TIMEOUT: &str = "5s";
/// The memory for each sort or join of a worker's statement: a tick of a million mailboxes joins them with their days
/// in 59 MB (Postgres 15; 6 MB for 100,000). With Postgres's 4 MB the join goes through files.
const WORKER_WORK_MEM: &str = "64MB";
/// The limit of a transaction that makes no progress and keeps its locks.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "60s";
/// Makes each commit wait for the local disk if the server's default does not: a mail whose commit a crash loses is
/// sent again. A stronger default stays.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";
/// The time limit of the first connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit to get a connection, check that it is alive, or open it: a heartbeat's time by default.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The age of a last use below which a connection counts as alive: the pool has pinged it when it was returned. If the
/// server vanishes just then, the statement fails like one that was running.
const JUST_USED: Duration = Duration::from_millis(100);
/// The time limit of a PING on an idle connection. Each failure in a row halves it, so that a pool of dead connections
/// is cleared within one `ACQUIRE_TIMEOUT`.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// The application name of workers' sessions; the next two are those of commands and of the API. A worker process
/// serves the API through other sessions: `migrate` refuses to move shards while worker sessions exist, and the API
/// does not use the shards. The API answers before its worker begins and after it ends, and is scraped every few
/// seconds. Under the worker's name it could block a move of the shards needlessly.
pub(super) const WORKER: &str = "warmup";
const COMMAND: &str = "warmup command";
const API: &str = "warmup api";

/// A `ConnectError` states why there is no connection. It names the server, never the password.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// `DATABASE_URL` is no Postgres URL.
    #[error(
        "DATABASE_URL cannot be read: write postgres://user:password@host:5432/database, with special characters of the password percent-encoded"
    )]
    Url,
    /// The server was not reached, or has no capacity now.
    #[error("Postgres at {server} cannot be reached: {fault}; check DATABASE_URL and that the server runs")]
    Unreachable { server: String, fault: String },
    /// The server was reached and refuses the access.
    #[error("Postgres at {server} refuses: {fault}; check user, password and database in DATABASE_URL")]
    Refused { server: String, fault: String },
}

impl ConnectError {
    /// Returns whether a later attempt may succeed.
    pub fn passes(&self) -> bool {
        matches!(self, ConnectError::Unreachable { .. })
    }
}

/// Connects to `url` and returns a pool of at most `max` connections, after one connection was opened.
///
/// Returns `Url` for an invalid Postgres URL, and `Unreachable` if the server does not answer within ten seconds or is
/// starting, stopping or full. Returns `Refused` with the server's message if it rejects the user, password or
/// database.
pub async fn connect(url: &SecretString, max: u32) -> Result<PgPool, ConnectError> {
    open(options(url)?, max).await
}

/// Connects a worker: with the application name by which `migrate` detects workers, and with shorter limits for
/// statements and locks.
pub async fn connect_worker(url: &SecretString, max: u32) -> Result<PgPool, ConnectError> {
    open(worker_options(url)?, max).await
}

/// Makes the pool of a worker open its new connections with `url`. Open connections stay.
///
/// Returns `Url` for an invalid Postgres URL.
pub fn renew_worker(pool: &PgPool, url: &SecretString) -> Result<(), ConnectError> {
    pool.set_connect_options(worker_options(url)?);
    Ok(())
}

fn worker_options(url: &SecretString) -> Result<PgConnectOptions, ConnectError> {
    let limits = [
        ("statement_timeout", WORKER_STATEMENT_TIMEOUT),
        ("lock_timeout", WORKER_LOCK_TIMEOUT),
        ("work_mem", WORKER_WORK_MEM),
    ];
    Ok(options(url)?.application_name(WORKER).options(limits))
}

async fn open(options: PgConnectOptions, max: u32) -> Result<PgPool, ConnectError> {
    // The pool would hide the cause behind a time-out, so the first connection is opened directly.
    probe(&options).await?;
    let silences = Arc::new(AtomicU32::new(0));
    let pool = PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // Replaced by `is_alive`: the pool's own PING would wait without a limit.
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(DURABLE).await.map(drop) }))
        .before_acquire(move |connection, meta| {
            Box::pin(is_alive(connection, meta.idle_for < JUST_USED, Arc::clone(&silences)))
        });
    Ok(pool.connect_lazy_with(options))
}

/// Returns whether the server still answers on this connection. Skips the PING if `just_used` is true. An error closes
/// the connection without a farewell message.
async fn is_alive(
    connection: &mut PgConnection,
    just_used: bool,
    silences: Arc<AtomicU32>,
) -> Result<bool, sqlx::Error> {
    if just_used {
        return Ok(true);
    }
    let patience = ANSWERS_WITHIN / (1 << silences.load(Ordering::Relaxed).min(5));
    match tokio::time::timeout(patience, connection.ping()).await {
        Ok(answer) => {
            silences.store(0, Ordering::Relaxed);
            answer.map(|()| true)
        }
        Err(_) => {
            silences.fetch_add(1, Ordering::Relaxed);
            Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))
        }
    }
}

/// The time limit of a request to get a connection: longer than any queue before a healthy server, shorter than a
/// person waits.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// The age of a last use below which a request's connection counts as alive.
const IDLE: Duration = Duration::from_secs(1);
/// The statement timeout of requests: no person waits longer for an answer.
const REQUEST_STATEMENT_TIMEOUT: &str = "10s";

/// Returns a pool of at most `max` connections to `url` for API requests. Opens no connection yet.
///
/// Returns `Url` for an invalid Postgres URL.
pub fn for_requests(url: &SecretString, max: u32) -> Result<PgPool, ConnectError> {
    let options = request_options(url)?;
    let silences = Arc::new(AtomicU32::new(0));
    let pool = PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(REQUEST_TIMEOUT)
        // A PING before each statement would cost as much as the statement.
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            Box::pin(is_alive(connection, meta.idle_for < IDLE, Arc::clone(&silences)))
        });
    Ok(pool.connect_lazy_with(options))
}

/// Makes a pool of `for_requests` open its new connections with `url`. Open connections stay.
///
/// Returns `Url` for an invalid Postgres URL.
pub fn renew_requests(pool: &PgPool, url: &SecretString) -> Result<(), ConnectError> {
    pool.set_connect_options(request_options(url)?);
    Ok(())
}

fn request_options(url: &SecretString) -> Result<PgConnectOptions, ConnectError> {
    // Requests select differently, so a generic plan would suit none of them.
    // Each request is one of many at once, so parallel workers would not help.
    let habits = [("plan_cache_mode", "force_custom_plan"), ("max_parallel_workers_per_gather", "0")];
    let limits = [("statement_timeout", REQUEST_STATEMENT_TIMEOUT)];
    Ok(options(url)?.application_name(API).options(limits).options(habits))
}

fn options(url: &SecretString) -> Result<PgConnectOptions, ConnectError> {
    // The parser's own error may quote the URL, so it is dropped.
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| ConnectError::Url)?;
    Ok(options
        .application_name(COMMAND)
        .options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
            // The statements of a tick are long and run briefly: JIT took most of their time and saved none.
            ("jit", "off"),
        ])
        .disable_statement_logging())
}

async fn probe(options: &PgConnectOptions) -> Result<(), ConnectError> {
    let unreachable = |fault: String| ConnectError::Unreachable { server: server(options), fault };
    let connecting = async {
        let mut connection = options.connect().await?;
        connection.ping().await?;
        connection.close().await
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if refuses(&error) => {
            Err(ConnectError::Refused { server: server(options), fault: error.to_string() })
        }
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_) => Err(unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
}

/// Returns whether the error has an SQLSTATE class of a refused access or of a missing database.
fn refuses(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("28") || code.starts_with("3D") || code.starts_with("42"))
}

fn server(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    match options.get_socket() {
        Some(folder) => format!("{} (port {}, database {database})", folder.display(), options.get_port()),
        None => format!("{}:{} (database {database})", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_url_is_not_repeated() {
        for url in ["nonsense canary", "postgres://u:canary@host:notaport/db", "postgres://u:canary@[::1/db"] {
            let error = options(&url.into()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }

    #[test]
    fn the_server_is_named_without_user_and_password() {
        let options = options(&"postgres://u:canary@db.example:5433/warm".into()).unwrap();
        assert_eq!(server(&options), "db.example:5433 (database warm)");
    }
}
