//! This module applies rotated credentials while a worker runs, and stops the worker after `PATIENCE` of
//! refusals.
//!
//! With `DATABASE_URL_FILE` and `REDIS_URL_FILE` a rotation needs no restart: new connections use the current
//! content of the files. The Redis pool reads its file itself; `keep_fresh` passes the URL to the Postgres pool,
//! which belongs to a library. Without these files, or if a file stays old, the server refuses every new
//! connection. Then the worker drains and ends, so that its supervisor starts it with the new values.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    adapters::postgres::{
        enrol::{self, Event},
        pool::ConnectError,
    },
    config::RereadSecret,
    domain::id::WorkerId,
    observe::{access::Server, liveness::Liveness},
    ports::Clock,
};

/// The time of refused credentials after which a worker stops. A rotation changes the server and the secret one
/// after the other, and a mounted secret follows within about a minute. Three minutes leave room for both.
/// Machine clock.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The time between two checks. A new connection uses a changed file within this time. Machine clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Passes the URL of the file to `pool` whenever the file changes, until `stop` is cancelled. Open connections
/// stay.
pub(super) async fn keep_fresh(
    pool: PgPool,
    url: RereadSecret,
    renew: fn(&PgPool, &SecretString) -> Result<(), ConnectError>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    if !url.is_from_file() {
        return;
    }
    // The file may have changed since the pool was made, so the first check always renews.
    let mut used = SecretString::default();
    while stop.run_until_cancelled(clock.sleep(LOOK_EVERY)).await.is_some() {
        let now = url.current();
        if now.expose_secret() == used.expose_secret() {
            continue;
        }
        match renew(&pool, &now) {
            Ok(()) => tracing::debug!("new connections use what {} names now", url.setting()),
            Err(error) => tracing::warn!(%error, "{} names an unusable URL", url.setting()),
        }
        used = now;
    }
}

/// Watches for refused credentials until `stop` is cancelled. If a server refuses them for `patience` without
/// one success, cancels `stop` and returns that server.
pub(super) async fn watch(
    liveness: Arc<Liveness>,
    clock: Arc<dyn Clock>,
    patience: Duration,
    stop: CancellationToken,
) -> Option<Server> {
    while stop.run_until_cancelled(clock.sleep(LOOK_EVERY.min(patience))).await.is_some() {
        if let Some(server) = liveness.access.overdue_server(patience) {
            tracing::error!(%server, "credentials refused for too long: stopping");
            stop.cancel();
            return Some(server);
        }
    }
    None
}

/// Records the stop of `worker` as an event. Records nothing if Postgres refused: the event could not be
/// written.
pub(super) async fn record_stop(pool: &PgPool, worker: &WorkerId, server: Server, now: DateTime<Utc>) {
    if server == Server::Postgres {
        return;
    }
    let (reason, detail) = (server.as_str().to_owned(), format!("worker {worker}"));
    let event = Event { kind: "credentials-refused", mailbox: None, user: None, reason, detail };
    let recorded = async { enrol::record(&mut *pool.acquire().await?, &[event], now).await };
    if let Err(error) = recorded.await {
        tracing::warn!(%error, "the stop could not be recorded as an event");
    }
}

/// Returns the error message of a worker that stopped because of `server`.
pub(super) fn last_words(server: Server, patience: Duration) -> String {
    format!(
        "{server} has refused the user or the password in {} for {} s, so this worker stopped: put the present password \
         there, and start it again",
        server.setting(),
        patience.as_secs_f64()
    )
}
