//! Who does the daily duties: the one worker that holds one more lease.
//!
//! *Term*: a worker leads from the moment at which it asked for the lease that it got, for the lease's length, and on
//! from each renewal; it looks before each step (`domain/lease.rs` says why it counts from before the asking). *Why
//! Postgres is asked before each renewal*: a leader that can't write must not keep the duties from one that can. *What
//! fails*: a leader that is killed leaves its lease to run out, and the next one goes on where it was; two that believe
//! in it at once do the same repeatable steps twice. There is no epoch: nothing here needs a fence.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Ports, WorkerSettings, stats::WorkerStats};
use crate::{
    domain::{id::RunId, lease::LeaseDeadline},
    ports::{LeaseKey, PortError},
};

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

    /// Says whether this worker leads right now, for certain.
    pub(super) fn holds(&self) -> bool {
        self.trust().is_some_and(|trust| trust.is_valid_at(self.ports.clock.machine()))
    }

    /// Waits until this worker becomes the leader.
    pub(super) async fn gained(&self) {
        self.gained.notified().await;
    }

    /// Asks for the lease, or renews it, at every heartbeat until `stop`, and then gives it back.
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
            // The lease is for the others to ask for: those of the other fleet, or those that can write.
            self.resign().await;
            return Ok(());
        }
        self.ports.duties.finished(self.ports.clock.now().date_naive()).await?;
        let (key, ttl) = ([LeaseKey::Leader], self.settings.lease_ttl);
        let asked = self.ports.clock.machine();
        // A trust that ran out meanwhile may still be renewed; either way the duties that waited are told.
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

    /// Also where none is known of: the answer to the last asking may have been lost.
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
