//! Connections to Redis, and the one way to use them: take one, ask, give it back, each within its time.

use std::time::Duration;

use deadpool_redis::{Connection, Manager, PoolError, Runtime};
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisResult, ScriptInvocation};
use tokio::time::{error::Elapsed, timeout};

use super::{
    Pool,
    classify::{classify, classify_unsent},
};
use crate::ports::PortError;

/// How long getting a connection, and then an answer, may take. Every operation of ours takes well under a millisecond;
/// a grant older than 3 s is thrown away and a heartbeat comes every 5 s, so a later answer would be of no use.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection that lay idle may take to answer a PING before another is tried. One whose other end vanished
/// without a word must not use up the whole time for a call.
const IDLE_TIMEOUT: Duration = Duration::from_millis(500);

/// The first release with scripts that declare themselves by `#!lua`, and are then refused as a whole before they run,
/// not in the middle, where memory is short or the server is a replica.
const OLDEST_VERSION: (u32, u32) = (7, 0);

/// Opens a pool of at most `size` connections to `url`, without connecting yet.
///
/// Returns `Permanent` when the URL can't be used. The URL may hold a password and is never part of an error.
pub fn open(url: &str, size: usize) -> Result<Pool, PortError> {
    if url.starts_with("rediss:") || url.starts_with("valkeys:") {
        return Err(PortError::Permanent(
            "REDIS_URL asks for TLS, which this build does not speak to Redis: use redis:// in a private network, or \
             a TLS tunnel beside the worker"
                .into(),
        ));
    }
    // The library would give up on an answer after half a second; here each call as a whole has its time.
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CALL_TIMEOUT)).set_response_timeout(None);
    let manager = Manager::new_with_config(url, config).map_err(|_| {
        PortError::Permanent(
            "REDIS_URL is not the address of a Redis: write redis://[[user]:password@]host[:port][/database], with \
             special characters in the password percent-encoded"
                .into(),
        )
    })?;
    Pool::builder(manager)
        .max_size(size.max(1))
        .runtime(Runtime::Tokio1)
        .recycle_timeout(Some(IDLE_TIMEOUT))
        .build()
        .map_err(|error| PortError::Permanent(format!("the pool of connections to Redis: {error}")))
}

/// Opens a pool and checks that a Redis answers that is new enough.
///
/// Returns `Unavailable` when none answers now, `Permanent` when this one will never do.
pub async fn connect(url: &str, size: usize) -> Result<Pool, PortError> {
    let pool = open(url, size)?;
    check_version(&pool).await?;
    Ok(pool)
}

/// Checks that the server is Redis 7.0 or newer, or speaks as one (Valkey does).
pub async fn check_version(pool: &Pool) -> Result<(), PortError> {
    let told: String = query(pool, redis::cmd("INFO").arg("server")).await?;
    new_enough(&told)
}

fn new_enough(told: &str) -> Result<(), PortError> {
    let version = told.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("unknown").trim();
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found >= OLDEST_VERSION {
        return Ok(());
    }
    Err(PortError::Permanent(format!(
        "the server at REDIS_URL is Redis {version}, and warmup's scripts need 7.0 or newer: upgrade it, or point \
         REDIS_URL at another"
    )))
}

/// Runs one command.
pub(super) async fn query<T: FromRedisValue>(pool: &Pool, command: &Cmd) -> Result<T, PortError> {
    let mut connection = connection(pool).await?;
    let answer = timeout(CALL_TIMEOUT, command.query_async(&mut connection)).await;
    settle(connection, answer)
}

/// Runs one script by its hash; only a server that does not know it yet is sent its text.
pub(super) async fn run<T: FromRedisValue>(pool: &Pool, script: &ScriptInvocation<'_>) -> Result<T, PortError> {
    let mut connection = connection(pool).await?;
    let answer = timeout(CALL_TIMEOUT, script.invoke_async(&mut connection)).await;
    settle(connection, answer)
}

/// Takes a connection on which a PING was just answered, so that one that broke while it lay idle is found before
/// anything is asked on it: nothing happened then, and the caller need not wonder.
async fn connection(pool: &Pool) -> Result<Connection, PortError> {
    match timeout(CALL_TIMEOUT, pool.get()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(PoolError::Backend(error))) => Err(classify_unsent(error)),
        Ok(Err(error)) => Err(PortError::Unavailable(format!("Redis: {error}"))),
        Err(_) => Err(PortError::Unavailable("Redis: no free connection in time".into())),
    }
}

/// Translates what came of a call. A connection that fell silent is not given back: nobody else shall wait for it.
fn settle<T>(connection: Connection, answer: Result<RedisResult<T>, Elapsed>) -> Result<T, PortError> {
    let error = match answer {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => classify(error),
        Err(_) => PortError::Unknown("Redis: no answer in time".into()),
    };
    if matches!(error, PortError::Unknown(_)) {
        drop(Connection::take(connection));
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_with_what_to_do() {
        for version in ["7.0.15", "7.2.4", "8.0.0", "10.1"] {
            assert!(new_enough(&format!("# Server\r\nredis_version:{version}\r\nos:Linux\r\n")).is_ok(), "{version}");
        }
        for version in ["6.2.14", "5.0.3", "unstable"] {
            let error = new_enough(&format!("redis_version:{version}\r\n")).unwrap_err().to_string();
            assert!(error.contains(version) && error.contains("upgrade it"), "{error}");
        }
        assert!(new_enough("").is_err());
    }

    #[test]
    fn no_error_and_no_debug_output_shows_the_password() {
        for url in ["redis://fleet:hunter2@", "redis://fleet:hunter2@host:port", "rediss://:hunter2@host", "hunter2"] {
            let error = open(url, 1).map(|_| ()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let pool = open("redis://fleet:hunter2@127.0.0.1:1/0", 1).unwrap();
        assert!(!format!("{:?}", pool.manager()).contains("hunter2"));
    }
}
