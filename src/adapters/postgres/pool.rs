//! The way to Postgres: a pool whose sessions cannot hang for ever, and errors that never show the URL's password.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use thiserror::Error;

/// Longer than any statement of the worker takes on a sound database, shorter than the patience of whoever waits.
const STATEMENT_TIMEOUT: &str = "30s";
/// A transaction that forgot to go on keeps its locks no longer than this.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "60s";
/// For a connection to be made, and for one to become free.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
    let options = options(url)?;
    // The pool would hide the cause behind a time-out: the first connection is made by hand.
    probe(&options).await?;
    Ok(PgPoolOptions::new().max_connections(max).acquire_timeout(CONNECT_TIMEOUT).connect_lazy_with(options))
}

/// For a request to get a connection: longer than any queue before a server that answers, shorter than a person waits.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// For a statement of a request: one that takes longer would not be waited for.
const REQUEST_STATEMENT_TIMEOUT: &str = "10s";

/// Returns a pool of at most `max` connections to `url` for what somebody waits for. Connects to nothing yet.
///
/// Returns `Url` for what is no Postgres URL.
pub fn for_requests(url: &SecretString, max: u32) -> Result<PgPool, ConnectError> {
    let options = options(url)?.options([("statement_timeout", REQUEST_STATEMENT_TIMEOUT)]);
    Ok(PgPoolOptions::new().max_connections(max).acquire_timeout(REQUEST_TIMEOUT).connect_lazy_with(options))
}

fn options(url: &SecretString) -> Result<PgConnectOptions, ConnectError> {
    // The parser's own error may quote the URL: it is not passed on.
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| ConnectError::Url)?;
    Ok(options
        .application_name("warmup")
        .options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
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
