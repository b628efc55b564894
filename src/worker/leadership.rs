//! `Leadership` holds the lease of the leader, the one worker that runs the maintenance jobs.
//!
//! - *Term*: a worker leads from the request for the lease to the local lease deadline, and each renewal extends the
//!   deadline. It checks the deadline before each step. `domain/lease.rs` explains why the deadline counts from before
//!   the request.
//! - *Why Postgres is read before each renewal*: a leader without Postgres must not keep the jobs from another worker.
//! - *Failures*: the lease of a killed leader expires, and the next leader continues its work. Two workers that both
//!   believe in the lease repeat the same repeatable steps. No step needs a fence, so there is no epoch.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Ports, WorkerSettings, stats::WorkerStats};
use crate::{
    domain::{id::RunId, lease::LeaseDeadline},
    ports::{LeaseKey, PortError},
};

/// A `Leadership` competes for the leader's lease and knows until when this worker leads.
pub(super) struct Leadership {
    ports: Ports,
    settings: Arc<WorkerSettings>,
    run: RunId,
    vitals: Arc<WorkerStats>,
    trust: Mutex<Option<LeaseDeadline>>,
    gained: Notify,
}

impl Leadership {
    pub(super) fn new(ports: Ports, settings: Arc<WorkerSettings>, run: RunId, vitals: Arc<WorkerStats>) -> Leadership {
        Leadership { ports, settings, run, vitals, trust: Mutex::default(), gained: Notify::new() }
    }

    /// Returns whether this worker certainly leads now.
    pub(super) fn holds(&self) -> bool {
        self.trust().is_some_and(|trust| trust.is_valid_at(self.ports.clock.machine()))
    }

    /// Waits until this worker becomes the leader.
    pub(super) async fn gained(&self) {
        self.gained.notified().await;
    }

    /// Acquires or renews the lease at every heartbeat until `stop`, then releases it.
    pub(super) async fn run(&self, stop: CancellationToken) {
        let beats = async {
            loop {
                if let Err(error) = self.heartbeat().await {
                    tracing::debug!(%error, "leadership not asked for");
                }
                self.ports.clock.sleep(self.settings.heartbeat).await;
            }
        };
        if stop.run_until_cancelled(beats).await.is_none() {
            self.resign().await;
        }
    }

    async fn heartbeat(&self) -> Result<(), PortError> {
        if self.vitals.is_among_strangers() || self.vitals.writes_refused_since().is_some() {
            // Workers of the other fleet, or workers that can write, should acquire the lease.
            self.resign().await;
            return Ok(());
        }
        self.ports.duties.finished(self.ports.clock.now().date_naive()).await?;
        let (key, ttl) = ([LeaseKey::Leader], self.settings.lease_ttl);
        let asked = self.ports.clock.machine();
        // An expired deadline may still be renewed; the waiting maintenance jobs must wake in both cases.
        let (led, held) = (self.holds(), self.trust().is_some());
        let mut leads = held && self.ports.leases.renew(self.run, &key, ttl).await? == [true];
        if !leads {
            leads = self.ports.leases.acquire(self.run, &key, ttl).await? == [true];
        }
        *self.trust.lock().unwrap_or_else(PoisonError::into_inner) =
            leads.then(|| LeaseDeadline::from_request_time(asked, ttl));
        match (led, leads) {
            (false, true) => {
                tracing::info!("this worker leads: it does the daily duties");
                self.gained.notify_one();
            }
            (true, false) => tracing::warn!("another worker leads now"),
            _ => {}
        }
        Ok(())
    }

    /// Releases the lease, even if none is known: the reply to the last request may have been lost.
    async fn resign(&self) {
        *self.trust.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Err(error) = self.ports.leases.release(self.run, &[LeaseKey::Leader]).await {
            tracing::warn!(%error, "leadership not given back: it runs out by itself");
        }
    }

    fn trust(&self) -> Option<LeaseDeadline> {
        *self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
