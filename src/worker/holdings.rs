//! Which shards this worker owns, under which epoch, and for how long it may believe so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    domain::{
        id::{Epoch, ShardId},
        lease::Trust,
    },
    ports::Clock,
};

#[derive(Clone, Copy, Debug)]
struct Held {
    epoch: Epoch,
    trust: Trust,
}

/// Shared by the keeper, which changes it, and by all who must know whether they may still act.
pub(super) struct Holdings {
    clock: Arc<dyn Clock>,
    held: Mutex<BTreeMap<ShardId, Held>>,
    fresh: Mutex<BTreeSet<ShardId>>,
    acquired: Notify,
}

impl Holdings {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Holdings {
        Holdings { clock, held: Mutex::default(), fresh: Mutex::default(), acquired: Notify::new() }
    }

    /// Returns the epoch under which `shard` may be acted on right now.
    pub(super) fn epoch(&self, shard: ShardId) -> Option<Epoch> {
        let held = lock(&self.held).get(&shard).copied()?;
        held.trust.holds(self.clock.machine()).then_some(held.epoch)
    }

    /// Says whether `shard` is still owned under `epoch`, for certain.
    pub(super) fn still(&self, shard: ShardId, epoch: Epoch) -> bool {
        self.epoch(shard) == Some(epoch)
    }

    /// Returns the shards that may be acted on right now.
    pub(super) fn owned(&self) -> Vec<ShardId> {
        let now = self.clock.machine();
        lock(&self.held).iter().filter(|(_, held)| held.trust.holds(now)).map(|(shard, _)| *shard).collect()
    }

    /// Returns all shards whose lease was won and not lost since, also those whose trust has run out meanwhile.
    pub(super) fn all(&self) -> Vec<(ShardId, Epoch)> {
        lock(&self.held).iter().map(|(shard, held)| (*shard, held.epoch)).collect()
    }

    /// Takes over shards whose lease is held since a request at the start of `trust`, and whose epoch was raised.
    pub(super) fn gain(&self, shards: &[(ShardId, Epoch)], trust: Trust) {
        lock(&self.held).extend(shards.iter().map(|(shard, epoch)| (*shard, Held { epoch: *epoch, trust })));
        lock(&self.fresh).extend(shards.iter().map(|(shard, _)| *shard));
        if !shards.is_empty() {
            self.acquired.notify_one();
        }
    }

    /// Extends the trust in shards whose lease was renewed.
    pub(super) fn extend(&self, shards: &[ShardId], trust: Trust) {
        let mut held = lock(&self.held);
        for shard in shards {
            if let Some(held) = held.get_mut(shard) {
                held.trust = trust;
            }
        }
    }

    /// Drops shards that are not ours any more.
    pub(super) fn lose(&self, shards: &[ShardId]) {
        lock(&self.held).retain(|shard, _| !shards.contains(shard));
    }

    /// Waits until shards were gained that nobody has planned yet.
    pub(super) async fn acquired(&self) {
        self.acquired.notified().await;
    }

    /// Gives back shards that were taken by `take_fresh` and could not be planned: they are to be planned still.
    pub(super) fn unplanned(&self, shards: BTreeSet<ShardId>) {
        lock(&self.fresh).extend(shards);
        self.acquired.notify_one();
    }

    /// Takes the shards that were gained since the last call.
    pub(super) fn take_fresh(&self) -> BTreeSet<ShardId> {
        std::mem::take(&mut lock(&self.fresh))
    }
}

/// A poisoned lock only means that another task panicked between two plain writes; the map is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{adapters::memory::VirtualClock, domain::lease::MachineTime};

    const TTL: Duration = Duration::from_secs(15);

    fn holdings() -> (Arc<dyn Clock>, Holdings) {
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(chrono::DateTime::UNIX_EPOCH));
        (Arc::clone(&clock), Holdings::new(clock))
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_is_ours_only_as_long_as_its_lease_is_certain() {
        let (clock, holdings) = holdings();
        holdings.gain(&[(ShardId(1), Epoch(7))], Trust::from_asked(clock.machine(), TTL));
        clock.pause(TTL - Duration::from_millis(1)).await;
        assert_eq!(holdings.epoch(ShardId(1)), Some(Epoch(7)));
        clock.pause(Duration::from_millis(1)).await;
        assert_eq!((holdings.epoch(ShardId(1)), holdings.owned()), (None, vec![]));
        assert_eq!(holdings.all().len(), 1, "it may still be renewed");
    }

    #[tokio::test(start_paused = true)]
    async fn another_epoch_is_another_ownership() {
        let (clock, holdings) = holdings();
        holdings.gain(&[(ShardId(1), Epoch(7))], Trust::from_asked(clock.machine(), TTL));
        assert!(holdings.still(ShardId(1), Epoch(7)) && !holdings.still(ShardId(1), Epoch(6)));
        holdings.lose(&[ShardId(1)]);
        assert!(!holdings.still(ShardId(1), Epoch(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_counts_from_before_it_was_asked() {
        let (clock, holdings) = holdings();
        holdings.gain(&[(ShardId(1), Epoch(7))], Trust::from_asked(clock.machine(), TTL));
        let asked = clock.machine();
        clock.pause(Duration::from_secs(9)).await;
        holdings.extend(&[ShardId(1), ShardId(2)], Trust::from_asked(asked, TTL));
        clock.pause(Duration::from_secs(6)).await;
        assert_eq!(holdings.epoch(ShardId(1)), None);
        assert_eq!(holdings.epoch(ShardId(2)), None, "what is not held is not extended");
        assert!(asked < MachineTime(TTL));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_gained_is_planned_once() {
        let (clock, holdings) = holdings();
        holdings.gain(&[(ShardId(1), Epoch(1)), (ShardId(2), Epoch(1))], Trust::from_asked(clock.machine(), TTL));
        holdings.acquired().await;
        assert_eq!(holdings.take_fresh(), BTreeSet::from([ShardId(1), ShardId(2)]));
        assert!(holdings.take_fresh().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_planned_is_not_forgotten() {
        let (clock, holdings) = holdings();
        holdings.gain(&[(ShardId(1), Epoch(1))], Trust::from_asked(clock.machine(), TTL));
        holdings.acquired().await;
        let fresh = holdings.take_fresh();
        holdings.unplanned(fresh);
        holdings.acquired().await;
        assert_eq!(holdings.take_fresh(), BTreeSet::from([ShardId(1)]));
    }
}
