//! Private servers that somebody killed (the kernel, when memory is short) come back by themselves. The worker takes
//! that for an outage like any other: it sends nothing meanwhile, loses nothing, and goes on.

use std::{convert::Infallible, time::Duration};

use super::{PrivatePostgres, PrivateRedis};

/// How often the servers are looked at. An outage of a second more is none.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long to leave a server alone that did not come up.
const REST: Duration = Duration::from_secs(10);

/// Starts a server again, at its own address, whenever it has ended, for as long as this is awaited.
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

/// Says whether it failed, and why.
fn told(started: Result<(), super::ServerError>) -> bool {
    started.inspect_err(|error| tracing::error!(%error, "it did not come up: it is tried again")).is_err()
}
