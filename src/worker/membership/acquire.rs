//! How a shard comes, and how it goes.

use std::collections::BTreeSet;

use super::{Epoch, LeaseDeadline, LeaseKey, Membership, PortError, ShardId};

impl Membership {
    /// Claims the lease of each shard, and raises the epoch of each that is won. Returns how many are owned now, with
    /// `trust`: who is no member any more has no leases, new ones no more than old.
    pub(super) async fn acquire(&self, coming: BTreeSet<ShardId>, trust: LeaseDeadline) -> Result<usize, PortError> {
        let wanted: Vec<ShardId> = coming.into_iter().collect();
        if wanted.is_empty() {
            return Ok(0);
        }
        let epochs = self.ports.ledger.epochs(&wanted).await?;
        let got = self.ports.members.claim(self.run, &wanted, self.settings.lease_ttl).await?;
        let won: Vec<(ShardId, Epoch)> =
            wanted.into_iter().zip(epochs).zip(got).filter(|(_, got)| *got).map(|(read, _)| read).collect();
        self.raise(&won, trust).await
    }

    /// Raises epochs that were passed while the lease was ours all the time, read since.
    pub(super) async fn raise_again(&self, passed: &[(ShardId, Epoch)], trust: LeaseDeadline) -> Result<(), PortError> {
        if !passed.is_empty() {
            tracing::warn!(shards = passed.len(), "somebody raised the epochs of shards whose lease is ours");
            self.raise(passed, trust).await?;
        }
        Ok(())
    }

    async fn raise(&self, read: &[(ShardId, Epoch)], trust: LeaseDeadline) -> Result<usize, PortError> {
        if read.is_empty() {
            return Ok(0);
        }
        let raised = self.ports.ledger.raise(&self.settings.worker, read).await?;
        let owned: Vec<(ShardId, Epoch)> =
            read.iter().zip(raised).filter_map(|((shard, _), raised)| Some((*shard, raised?))).collect();
        if !owned.is_empty() {
            tracing::info!(shards = owned.len(), "acquired shards");
        }
        self.holdings.gain(&owned, trust);
        Ok(owned.len())
    }

    /// Gives back the leases of the closing shards of which nothing is on its way any more. Returns how many.
    pub(super) async fn release_idle(&mut self) -> Result<usize, PortError> {
        // In this order: whatever a batch starts is known as unsettled before the batch lets go of its pledge.
        let closing = self.holdings.draining_shards();
        let unsettled = self.unsettled.shards();
        let busy = |(shard, pledged): &(ShardId, bool)| *pledged || unsettled.contains(shard);
        let idle: Vec<ShardId> = closing.into_iter().filter(|closing| !busy(closing)).map(|(shard, _)| shard).collect();
        if idle.is_empty() {
            return Ok(0);
        }
        self.drop_shards(&idle);
        self.release_dropped().await?;
        tracing::info!(shards = idle.len(), "handed over shards");
        Ok(idle.len())
    }

    /// Drops shards whose leases may still name this run. As long as it lives they would keep others out, so they are to
    /// be given back.
    pub(super) fn drop_shards(&mut self, shards: &[ShardId]) {
        self.holdings.lose(shards);
        self.dropped.extend(shards);
    }

    /// Gives back the leases of what was dropped, those that still name this run. What is not heard to be given back is
    /// tried again at the next heartbeat, and none of it is claimed before.
    pub(super) async fn release_dropped(&mut self) -> Result<(), PortError> {
        if !self.dropped.is_empty() {
            let keys: Vec<LeaseKey> = self.dropped.iter().copied().map(LeaseKey::Shard).collect();
            self.ports.leases.release(self.run, &keys).await?;
            self.dropped.clear();
        }
        Ok(())
    }
}
