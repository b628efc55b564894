//! Keeps the worker's shards: the heartbeat.
//!
//! *Term*: a worker owns a shard from the raise of its epoch in Postgres to the end of its trust in the lease.
//!
//! ```text
//!   read epochs (Postgres) ─▶ acquire leases (Redis) ─▶ raise the epochs read (Postgres) ─▶ owned
//!                                  each heartbeat: read epochs ─▶ renew ─▶ trust + ttl from before the asking
//! ```
//!
//! *Why in this order*: the epoch is read before the lease is asked for and raised by compare-and-set on that value, so
//! of two workers that both believe in the lease only one raises. *Why Postgres first at each heartbeat*: a worker that
//! can't write must not keep a shard from one that can. *What fails*: Redis forgets (the renewal finds nothing, the
//! shard is dropped and taken anew); an answer is lost (nothing is believed, the trust runs out); another worker raised
//! while our lease held (we read and raise again).

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::{Ports, WorkerSettings, holdings::Holdings};
use crate::{
    domain::{
        id::{Epoch, RunId, ShardId},
        lease::Trust,
        shard::all_shards,
    },
    observe::liveness::Liveness,
    ports::{LeaseKey, PortError},
};

/// A worker whose clock is further off than this takes no shards.
const SKEW_ALLOWED: Duration = Duration::from_secs(30);

/// How often a shard that somebody else may still hold is asked for.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Why a worker may not start.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// The solo lease was renewed while we waited: somebody is alive.
    #[error(
        "another worker is running on this Redis and renews its lease: stop it first, or set \
         WARMUP_DISTRIBUTED_MODE=true for all workers"
    )]
    AnotherWorker,
}

pub(super) struct Keeper {
    ports: Ports,
    settings: Arc<WorkerSettings>,
    run: RunId,
    holdings: Arc<Holdings>,
}

impl Keeper {
    pub(super) fn new(ports: Ports, settings: Arc<WorkerSettings>, run: RunId, holdings: Arc<Holdings>) -> Keeper {
        Keeper { ports, settings, run, holdings }
    }

    /// Waits for the solo lease, unless the fleet is shared. Returns false when `stop` came first.
    ///
    /// A worker that was killed leaves its lease behind, so a starter waits until that had time to run out; a lease
    /// that is still held then was renewed.
    pub(super) async fn take_solo(&self, stop: &CancellationToken) -> Result<bool, KeeperError> {
        if self.settings.distributed {
            return Ok(!stop.is_cancelled());
        }
        let mut refused_at = None;
        while !stop.is_cancelled() {
            match self.ports.leases.acquire(self.run, &[LeaseKey::Solo], self.settings.lease_ttl).await {
                Ok(got) if got.first() == Some(&true) => return Ok(true),
                Ok(_) => {
                    let now = self.ports.clock.machine();
                    let since = *refused_at.get_or_insert_with(|| {
                        tracing::warn!(ttl = ?self.settings.lease_ttl, "another worker holds the lease: waiting until it had time to expire");
                        now
                    });
                    if now.since(since) > self.settings.lease_ttl + ASK_AGAIN {
                        return Err(KeeperError::AnotherWorker);
                    }
                }
                Err(error) => tracing::warn!(%error, "Redis is away: waiting for it"),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.ports.clock.pause(ASK_AGAIN.min(self.settings.lease_ttl / 4)) => {}
            }
        }
        Ok(false)
    }

    /// Keeps the shards until `keeping` is cancelled, then gives them back. After `stop` no new ones are taken.
    pub(super) async fn keep(self, stop: CancellationToken, keeping: CancellationToken, liveness: Arc<Liveness>) {
        loop {
            match self.beat(!stop.is_cancelled()).await {
                Ok(()) => liveness.beat(self.ports.clock.machine()),
                Err(error) => {
                    tracing::warn!(%error, "heartbeat failed: shards are kept only as long as their lease is certain")
                }
            }
            let missing = self.holdings.all().len() < usize::from(self.settings.shards);
            let wait = if missing { ASK_AGAIN.min(self.settings.heartbeat) } else { self.settings.heartbeat };
            tokio::select! {
                biased;
                () = keeping.cancelled() => break,
                () = self.ports.clock.pause(wait) => {}
            }
        }
        self.give_back().await;
    }

    async fn beat(&self, take_more: bool) -> Result<(), PortError> {
        self.renew().await?;
        if take_more { self.acquire().await } else { Ok(()) }
    }

    /// Renews what is held, if Postgres answers; drops what is lost.
    async fn renew(&self) -> Result<(), PortError> {
        let held = self.holdings.all();
        let shards: Vec<ShardId> = held.iter().map(|(shard, _)| *shard).collect();
        let epochs = self.ports.ledger.epochs(&shards).await?;
        let mut keys: Vec<LeaseKey> = shards.iter().copied().map(LeaseKey::Shard).collect();
        if !self.settings.distributed {
            keys.push(LeaseKey::Solo);
        }
        let asked = self.ports.clock.machine();
        let kept = self.ports.leases.renew(self.run, &keys, self.settings.lease_ttl).await?;
        if !self.settings.distributed && kept.last() != Some(&true) {
            return self.lose_all(&shards).await;
        }
        let (mut ours, mut lost) = (Vec::new(), Vec::new());
        for (((shard, epoch), now), kept) in held.iter().zip(&epochs).zip(&kept) {
            // A passed epoch is as good as a lost lease: both are taken anew, by compare-and-set.
            if *kept && now == epoch { ours.push(*shard) } else { lost.push(*shard) }
        }
        self.holdings.extend(&ours, Trust::from_asked(asked, self.settings.lease_ttl));
        if !lost.is_empty() {
            tracing::warn!(shards = lost.len(), "lost shards");
            self.holdings.lose(&lost);
        }
        Ok(())
    }

    async fn lose_all(&self, shards: &[ShardId]) -> Result<(), PortError> {
        self.holdings.lose(shards);
        if !shards.is_empty() {
            tracing::warn!("lost the solo lease: nothing is started until it is ours again");
        }
        let asked = [LeaseKey::Solo];
        match self.ports.leases.acquire(self.run, &asked, self.settings.lease_ttl).await?.first() {
            Some(true) => Ok(()),
            _ => Err(PortError::Lost("another worker holds the solo lease".into())),
        }
    }

    /// Asks for every shard that is not held, and raises the epoch of each that is won.
    async fn acquire(&self) -> Result<(), PortError> {
        let held: Vec<ShardId> = self.holdings.all().into_iter().map(|(shard, _)| shard).collect();
        let wanted: Vec<ShardId> =
            all_shards(self.settings.shards).into_iter().filter(|shard| held.binary_search(shard).is_err()).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.check_clock().await?;
        let epochs = self.ports.ledger.epochs(&wanted).await?;
        let keys: Vec<LeaseKey> = wanted.iter().copied().map(LeaseKey::Shard).collect();
        let asked = self.ports.clock.machine();
        let got = self.ports.leases.acquire(self.run, &keys, self.settings.lease_ttl).await?;
        let won: Vec<(ShardId, Epoch)> =
            wanted.into_iter().zip(epochs).zip(got).filter(|(_, got)| *got).map(|(read, _)| read).collect();
        let raised = self.ports.ledger.raise(&self.settings.worker, &won).await?;
        let owned: Vec<(ShardId, Epoch)> =
            won.iter().zip(raised).filter_map(|((shard, _), raised)| Some((*shard, raised?))).collect();
        if !owned.is_empty() {
            tracing::info!(shards = owned.len(), "acquired shards");
        }
        self.holdings.gain(&owned, Trust::from_asked(asked, self.settings.lease_ttl));
        Ok(())
    }

    /// A worker whose clock is off would plan the wrong hour. A clock of its own making is not compared.
    async fn check_clock(&self) -> Result<(), PortError> {
        if self.ports.clock.caps_now().is_some() {
            return Ok(());
        }
        let skew = self.ports.leases.skew(self.ports.clock.now().timestamp_micros()).await?;
        if Duration::from_micros(skew.unsigned_abs()) > SKEW_ALLOWED {
            return Err(PortError::Lost(format!(
                "this machine's clock is {} s off Redis: no shards are taken until it is set right",
                skew / 1_000_000
            )));
        }
        Ok(())
    }

    async fn give_back(&self) {
        let shards: Vec<ShardId> = self.holdings.all().into_iter().map(|(shard, _)| shard).collect();
        self.holdings.lose(&shards);
        let mut keys: Vec<LeaseKey> = shards.into_iter().map(LeaseKey::Shard).collect();
        if !self.settings.distributed {
            keys.push(LeaseKey::Solo);
        }
        match self.ports.leases.release(self.run, &keys).await {
            Ok(()) => tracing::info!("leases given back"),
            Err(error) => tracing::warn!(%error, "leases not given back: they run out by themselves"),
        }
    }
}
