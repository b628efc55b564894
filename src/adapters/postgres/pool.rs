//! The way to Postgres: a pool whose sessions cannot hang for ever, and errors that never show the URL's password.
//!
//! A server that vanishes without a word (its host died, a firewall forgot us) breaks no connection: whoever uses one
//! waits. So each wait has an end here or in `session.rs`, and all ends together are shorter than the lease and two
//! heartbeats in which sending goes on after an outage.

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

/// Longer than any statement takes on a sound database, also a large import's.
const STATEMENT_TIMEOUT: &str = "30s";
/// The same of a worker, whose statements are about its own shards; shorter than the patience of whoever waits
/// (`session.rs`).
const WORKER_STATEMENT_TIMEOUT: &str = "15s";
/// How long a worker's statement waits for a lock. A reserve that waits longer than 3 s is thrown away in any case, and
/// while it waits it holds the rows of its shards: should its worker die, nobody else could own them so long.
const WORKER_LOCK_TIMEOUT: &str = "5s";
/// Memory for each sort or join of a worker's statement, where it needs it: a tick that reads a million mailboxes joins them
/// with their days in 59 MB (Postgres 15; 6 MB for 100,000). With Postgres's 4 MB that goes through files.
const WORKER_WORK_MEM: &str = "64MB";
/// A transaction that forgot to go on keeps its locks no longer than this.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "60s";
/// Waits for the own disk at each commit where the server's default does not: a commit that a crash can lose would be a mail
/// that is sent again. A stronger default stays.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";
/// For the first connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a connection to become free, to be found alive, and to be made: a heartbeat's time by default.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was used within this time is taken for alive: the pool has asked it when it was put back. Should its
/// server vanish just then, the statement is as one that was under way.
const JUST_USED: Duration = Duration::from_millis(100);
/// For the answer to a PING on a connection that lay idle. Each silence in a row halves it, so that a pool of dead ones is
/// cleared within one `ACQUIRE_TIMEOUT`.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// What the sessions of workers are called, those of commands, and those of the API. A worker answers the API in the same
/// process, and yet by other sessions: `migrate` takes those of workers for somebody who counts the shards, and the API
/// counts none. It answers before its worker has begun and after it has ended, and is scraped every few seconds; under
/// the worker's name such a process could hold up a move of the shards for nothing.
pub(super) const WORKER: &str = "warmup";
const COMMAND: &str = "warmup command";
const API: &str = "warmup api";

/// Why there is no connection. Names the server, never the password.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The URL is none.
    #[error(
        "DATABASE_URL cannot be read: write postgres://user:password@host:5432/database, with special characters of the password percent-encoded"
    )]
    Url,
    /// The server was not reached, or has no room or time for us now.
    #[error("Postgres at {server} cannot be reached: {fault}; check DATABASE_URL and that the server runs")]
    Unreachable { server: String, fault: String },
    /// The server was reached, and will not have us.
    #[error("Postgres at {server} refuses: {fault}; check user, password and database in DATABASE_URL")]
    Refused { server: String, fault: String },
}

impl ConnectError {
    /// Says whether asking again later may help.
    pub fn passes(&self) -> bool {
        matches!(self, ConnectError::Unreachable { .. })
    }
}

/// Connects to `url` and returns a pool of at most `max` connections, after one of them was really made.
///
/// Returns `Url` for what is no Postgres URL, `Unreachable` when the server does not answer within ten seconds or is
/// starting, stopping or full, and `Refused` with its own words when it knows no such user, password or database.
pub async fn connect(url: &SecretString, max: u32) -> Result<PgPool, ConnectError> {
    open(options(url)?, max).await
}

/// The same for a worker: under the name by which Postgres shows that one is there, and with statements that wait less
/// long, for locks and for their own end.
pub async fn connect_worker(url: &SecretString, max: u32) -> Result<PgPool, ConnectError> {
    open(worker_options(url)?, max).await
}

/// Lets the pool of a worker make its new connections with `url`. Those that are open stay.
///
/// Returns `Url` for what is no Postgres URL.
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
    // The pool would hide the cause behind a time-out: the first connection is made by hand.
    probe(&options).await?;
    let silences = Arc::new(AtomicU32::new(0));
    let pool = PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // Instead of the pool's own PING, which would wait for ever.
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(DURABLE).await.map(drop) }))
        .before_acquire(move |connection, meta| {
            Box::pin(is_alive(connection, meta.idle_for < JUST_USED, Arc::clone(&silences)))
        });
    Ok(pool.connect_lazy_with(options))
}

/// Says whether the server still answers on a connection, which it is not asked where that was `just_used`. An error breaks
/// it off without a goodbye.
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

/// For a request to get a connection: longer than any queue before a server that answers, shorter than a person waits.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was used within this time is taken for alive.
const IDLE: Duration = Duration::from_secs(1);
/// For a statement of a request: one that takes longer would not be waited for.
const REQUEST_STATEMENT_TIMEOUT: &str = "10s";

/// Returns a pool of at most `max` connections to `url` for what the API is asked. Connects to nothing yet.
///
/// Returns `Url` for what is no Postgres URL.
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

/// Lets a pool of `for_requests` make its new connections with `url`. Those that are open stay.
///
/// Returns `Url` for what is no Postgres URL.
pub fn renew_requests(pool: &PgPool, url: &SecretString) -> Result<(), ConnectError> {
    pool.set_connect_options(request_options(url)?);
    Ok(())
}

fn request_options(url: &SecretString) -> Result<PgConnectOptions, ConnectError> {
    // Each of them asks for another selection: a plan that were good for any would be good for none.
    // Whoever asks is one of many at once.
    let habits = [("plan_cache_mode", "force_custom_plan"), ("max_parallel_workers_per_gather", "0")];
    let limits = [("statement_timeout", REQUEST_STATEMENT_TIMEOUT)];
    Ok(options(url)?.application_name(API).options(limits).options(habits))
}

fn options(url: &SecretString) -> Result<PgConnectOptions, ConnectError> {
    // The parser's own error may quote the URL: it is not passed on.
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| ConnectError::Url)?;
    Ok(options
        .application_name(COMMAND)
        .options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
            // Of a tick's statements it took most of the time, and of none it saves any: they are long, and soon done.
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

/// The SQLSTATE classes of an access that was refused, and of a database that does not exist.
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
