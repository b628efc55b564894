//! A worker whose master key was rotated away can open no password any more. It would fail mail after mail (and disable
//! nobody); so it asks at each heartbeat whether its key is still the database's, and stops in order when it is not. Its
//! supervisor starts it again, and it is refused until it has the new key.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{postgres::keyring, seal::KeyId},
    ports::Clock,
};

/// Watches until `stop` is cancelled, by whomever. Returns whether it was cancelled here, because the key is gone. A
/// database that does not answer says nothing about the key.
pub(super) async fn watch(
    pool: PgPool,
    key: KeyId,
    clock: Arc<dyn Clock>,
    every: Duration,
    stop: CancellationToken,
) -> bool {
    while stop.run_until_cancelled(clock.pause(every)).await.is_some() {
        if let Some(Ok(false)) = stop.run_until_cancelled(keyring::holds(&pool, key)).await {
            tracing::error!(%key, "the master key was rotated: this worker's opens nothing any more, stopping");
            stop.cancel();
            return true;
        }
    }
    false
}
