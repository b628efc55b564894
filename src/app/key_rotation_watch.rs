//! A worker whose master key was rotated away can open no password any more. It would fail mail after mail (and disable
//! nobody); so it asks at each heartbeat whether its key is still the database's. Where the key stands in a file
//! (`WARMUP_MASTER_KEY_FILE`, or `master.key` of `warmup local`) it takes the new one from there and goes on. Otherwise it
//! stops in order; its supervisor starts it again, and it is refused until it has the new key.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    adapters::{
        postgres::keyring,
        seal::{KeyId, Sealer},
    },
    config::MasterKey,
    ports::Clock,
};

/// The heartbeats that the file may be late: a rotation commits first and replaces the file then.
const LATE: u32 = 2;

/// What is watched, and where a new key comes from.
pub(super) struct KeyWatch<F> {
    pub(super) pool: PgPool,
    /// Shared with all that opens passwords.
    pub(super) sealer: Arc<Sealer>,
    /// Returns the key that the file holds now; none without a file.
    pub(super) in_file: F,
}

impl<F: Fn() -> Option<MasterKey>> KeyWatch<F> {
    /// Watches until `stop` is cancelled, by whomever. Returns whether it was cancelled here, because the key is gone. A
    /// database that does not answer says nothing about the key.
    pub(super) async fn run(self, clock: Arc<dyn Clock>, every: Duration, stop: CancellationToken) -> bool {
        let mut misses = 0;
        while stop.run_until_cancelled(clock.sleep(every)).await.is_some() {
            let key = self.sealer.key_id();
            match stop.run_until_cancelled(self.holds(key)).await {
                Some(Some(false)) => {}
                Some(Some(true)) => {
                    misses = 0;
                    continue;
                }
                _ => continue,
            }
            let new = (self.in_file)();
            let adopted = match &new {
                Some(new) => self.adopts(new).await,
                None => false,
            };
            if adopted {
                let to = self.sealer.key_id();
                tracing::info!(from = %key, %to, "the master key was rotated: going on with the new one");
            } else if new.is_some() && misses < LATE {
                misses += 1;
            } else {
                tracing::error!(%key, "the master key was rotated: this worker's opens nothing any more, stopping");
                stop.cancel();
                return true;
            }
        }
        false
    }

    /// Works with `new` from now on, if it is the database's.
    async fn adopts(&self, new: &MasterKey) -> bool {
        let id = Sealer::new(new.expose()).key_id();
        let fits = self.holds(id).await == Some(true);
        if fits {
            self.sealer.adopt(new.expose());
        }
        fits
    }

    /// Says whether `key` is the database's; none where it does not answer.
    async fn holds(&self, key: KeyId) -> Option<bool> {
        keyring::holds(&self.pool, key).await.ok()
    }
}
