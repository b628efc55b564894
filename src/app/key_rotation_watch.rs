//! `KeyWatch` checks at each heartbeat that the worker's master key is still the key of the database.
//!
//! After a rotation the old key opens no password: the worker would fail mail after mail, and disable no
//! mailbox. If a file holds the key (`WARMUP_MASTER_KEY_FILE`, or `master.key` of `warmup local`), the worker
//! adopts the new key from it and continues. Otherwise it drains and stops. Its supervisor restarts it, and the
//! start fails until the worker has the new key.

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

/// The number of heartbeats that the file may be late: a rotation commits first and replaces the file
/// afterwards.
const LATE: u32 = 2;

/// A `KeyWatch` knows the key in use, the database that confirms it, and the source of a new key.
pub(super) struct KeyWatch<F> {
    pub(super) pool: PgPool,
    /// The sealer that the whole worker shares.
    pub(super) sealer: Arc<Sealer>,
    /// Returns the key that the file holds now; `None` without a file.
    pub(super) in_file: F,
}

impl<F: Fn() -> Option<MasterKey>> KeyWatch<F> {
    /// Watches until `stop` is cancelled. Returns true if it cancelled `stop` itself because the key was rotated
    /// away. A database that does not answer says nothing about the key, so the watch continues.
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

    /// Switches the sealer to `new` if the database uses that key. Returns true if it did.
    async fn adopts(&self, new: &MasterKey) -> bool {
        let id = Sealer::new(new.expose()).key_id();
        let fits = self.holds(id).await == Some(true);
        if fits {
            self.sealer.adopt(new.expose());
        }
        fits
    }

    /// Returns whether `key` is the key of the database; `None` if the database does not answer.
    async fn holds(&self, key: KeyId) -> Option<bool> {
        keyring::holds(&self.pool, key).await.ok()
    }
}
