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
    /// The server was not reached, or refused.
    #[error("Postgres at {server} cannot be reached: {fault}; check DATABASE_URL and that the server runs")]
    Unreachable { server: String, fault: String },
}

/// Connects to `url` and returns a pool of at most `max` connections, after one of them was really made.
///
/// Returns `Url` for what is no Postgres URL, `Unreachable` with the server's own words when it does not answer or
/// refuses within ten seconds.
pub async fn connect(url: &SecretString, max: u32) -> Result<PgPool, ConnectError> {
    let options = options(url)?;
    // The pool would hide the cause behind a time-out: the first connection is made by hand.
    probe(&options).await?;
    Ok(PgPoolOptions::new().max_connections(max).acquire_timeout(CONNECT_TIMEOUT).connect_lazy_with(options))
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
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_) => Err(unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
    }
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
