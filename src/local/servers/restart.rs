//! `restart_on_exit` restarts private servers that were killed, for example by the kernel when memory is short.
//!
//! For the worker this is an outage like any other: it sends nothing meanwhile, loses nothing, and then
//! continues.

use std::{convert::Infallible, time::Duration};

use super::{PrivatePostgres, PrivateRedis};

/// The time between two checks of the servers. An outage of one second more does no harm.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The pause after a server did not start.
const REST: Duration = Duration::from_secs(10);

/// Restarts each server at its own address whenever it has ended, as long as the caller awaits this future.
pub async fn restart_on_exit(postgres: &mut PrivatePostgres, redis: &mut PrivateRedis) -> Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let mut failed = false;
        if let Some(status) = postgres.ended() {
            tracing::error!(%status, "Postgres has ended by itself: starting it again");
            failed |= told(postgres.start_again().await);
        }
        if let Some(status) = redis.ended() {
            tracing::error!(%status, "Redis has ended by itself: starting it again");
            failed |= told(redis.start_again().await);
        }
        if failed {
            tokio::time::sleep(REST).await;
        }
    }
}

/// Logs the error of a failed start. Returns whether it failed.
fn told(started: Result<(), super::ServerError>) -> bool {
    started.inspect_err(|error| tracing::error!(%error, "it did not come up: it is tried again")).is_err()
}
