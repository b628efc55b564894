//! `Membership` acquires shards, raises their epochs, and releases their leases.
//!
//! A shard changes its owner in two steps: the lease in Redis, then the epoch in Postgres. Only the second one counts.

use std::collections::BTreeSet;

use super::{Epoch, LeaseDeadline, LeaseKey, Membership, PortError, ShardId};

impl Membership {
    /// Returns the number of acquired shards. A new lease ends with the membership, so it gets the same local deadline.
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

    /// Raises the epochs of shards whose lease held although another worker raised the epoch.
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

    /// Releases the leases of draining shards that are idle: no batch guards them, and they have no in-flight mail.
    /// Returns their number.
    pub(super) async fn release_idle(&mut self) -> Result<usize, PortError> {
        // The order matters: a batch records its mails as in flight before it drops its guard.
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

    /// Drops shards whose leases may still name this run. The leases must be released, because they keep others out
    /// while this run is a member.
    pub(super) fn drop_shards(&mut self, shards: &[ShardId]) {
        self.holdings.lose(shards);
        self.dropped.extend(shards);
    }

    /// Releases the leases of dropped shards that still name this run. Without a reply it repeats this at the next
    /// heartbeat, and claims none of these shards before.
    pub(super) async fn release_dropped(&mut self) -> Result<(), PortError> {
        if !self.dropped.is_empty() {
            let keys: Vec<LeaseKey> = self.dropped.iter().copied().map(LeaseKey::Shard).collect();
            self.ports.leases.release(self.run, &keys).await?;
            self.dropped.clear();
        }
        Ok(())
    }
}
