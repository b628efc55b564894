//! Which shards this worker owns, under which epoch, and for how long it may believe so.
//!
//! ```text
//!   gain ──▶ open ──hand over──▶ closing ──idle──▶ lose
//!             ▲                     │
//!             └──────wanted again───┘
//! ```
//!
//! From an *open* shard mails may be started. One that is *closing* goes to another worker: what was started goes on, for
//! the lease is still ours, and nothing new is. A batch in the making pledges its shards, so that closing and starting
//! can't pass each other: a shard is idle when nobody has pledged it and none of its mails is unsettled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    domain::{
        id::{Epoch, ShardId},
        lease::LeaseDeadline,
    },
    ports::Clock,
};

#[derive(Clone, Copy, Debug)]
struct OwnedShard {
    epoch: Epoch,
    trust: LeaseDeadline,
    is_draining: bool,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<ShardId, OwnedShard>,
    /// Gained or opened again, and not planned yet.
    added_shards: BTreeSet<ShardId>,
    /// Closed or lost, and still in the plan.
    removed_shards: BTreeSet<ShardId>,
    pledges: BTreeMap<ShardId, usize>,
    benched: bool,
}

/// Shared by the keeper, which changes it, and by all who must know whether they may still act.
pub(super) struct OwnedShards {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
}

impl OwnedShards {
    pub(super) fn new(clock: Arc<dyn Clock>) -> OwnedShards {
        OwnedShards { clock, state: Mutex::default(), changed: Notify::new() }
    }

    /// Returns the epoch under which what was started of `shard` may go on right now.
    pub(super) fn epoch(&self, shard: ShardId) -> Option<Epoch> {
        self.trusted(self.state().held.get(&shard).copied()?)
    }

    /// Says whether `shard` is still owned under `epoch`, for certain.
    pub(super) fn is_owned(&self, shard: ShardId, epoch: Epoch) -> bool {
        self.epoch(shard) == Some(epoch)
    }

    /// Returns the shards from which mails may be started right now.
    pub(super) fn owned(&self) -> Vec<ShardId> {
        let state = self.state();
        let open = state.held.iter().filter(|(_, held)| !held.is_draining && self.trusted(**held).is_some());
        open.map(|(shard, _)| *shard).collect()
    }

    /// Returns all shards whose lease was won and not lost since, also those whose trust has run out meanwhile.
    pub(super) fn all(&self) -> Vec<(ShardId, Epoch)> {
        self.state().held.iter().map(|(shard, held)| (*shard, held.epoch)).collect()
    }

    /// Takes over shards whose lease is held since a request at the start of `trust`, and whose epoch was raised.
    pub(super) fn gain(&self, shards: &[(ShardId, Epoch)], trust: LeaseDeadline) {
        let mut state = self.state();
        let held = |epoch: &Epoch| OwnedShard { epoch: *epoch, trust, is_draining: false };
        state.held.extend(shards.iter().map(|(shard, epoch)| (*shard, held(epoch))));
        state.added_shards.extend(shards.iter().map(|(shard, _)| *shard));
        self.tell(shards.len());
    }

    /// Extends the trust in shards whose lease was renewed.
    pub(super) fn extend(&self, shards: &[ShardId], trust: LeaseDeadline) {
        let mut state = self.state();
        for shard in shards {
            if let Some(held) = state.held.get_mut(shard) {
                held.trust = trust;
            }
        }
    }

    /// Drops shards that are not ours any more.
    pub(super) fn lose(&self, shards: &[ShardId]) {
        let mut state = self.state();
        let lost: Vec<ShardId> = shards.iter().copied().filter(|shard| state.held.remove(shard).is_some()).collect();
        state.added_shards.retain(|shard| !lost.contains(shard));
        self.tell(lost.len());
        state.removed_shards.extend(lost);
    }

    /// Closes the shards of `going`, and opens all others again.
    pub(super) fn hand_over(&self, going: &BTreeSet<ShardId>) {
        let mut state = self.state();
        let State { held, added_shards: fresh, removed_shards: gone, .. } = &mut *state;
        let mut changes = 0;
        for (shard, held) in held.iter_mut().filter(|(shard, held)| held.is_draining != going.contains(shard)) {
            held.is_draining = !held.is_draining;
            if held.is_draining {
                fresh.remove(shard);
                gone.insert(*shard);
            } else {
                fresh.insert(*shard);
            }
            changes += 1;
        }
        self.tell(changes);
    }

    /// Says whether this worker is to hold no shard, because it can't plan any: the keeper hands over what it has and
    /// takes none.
    pub(super) fn bench(&self, benched: bool) {
        self.state().benched = benched;
    }

    pub(super) fn is_benched(&self) -> bool {
        self.state().benched
    }

    /// Returns the closing shards, each with whether a batch has pledged it.
    pub(super) fn draining_shards(&self) -> Vec<(ShardId, bool)> {
        let state = self.state();
        let closing = state.held.iter().filter(|(_, held)| held.is_draining);
        closing.map(|(shard, _)| (*shard, state.pledges.contains_key(shard))).collect()
    }

    /// Begins to pledge shards for a batch.
    pub(super) fn pledge(self: &Arc<OwnedShards>) -> ShardGuard {
        ShardGuard { holdings: Arc::clone(self), epochs: BTreeMap::new() }
    }

    /// Waits until shards were gained that nobody has planned yet, or went that are still in the plan.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes the shards that were gained since the last call.
    pub(super) fn take_fresh(&self) -> BTreeSet<ShardId> {
        std::mem::take(&mut self.state().added_shards)
    }

    /// Takes the shards that went since the last call. To be looked at before the fresh ones: a shard may be both.
    pub(super) fn take_gone(&self) -> BTreeSet<ShardId> {
        std::mem::take(&mut self.state().removed_shards)
    }

    fn trusted(&self, held: OwnedShard) -> Option<Epoch> {
        held.trust.is_valid_at(self.clock.machine()).then_some(held.epoch)
    }

    fn tell(&self, changes: usize) {
        if changes > 0 {
            self.changed.notify_one();
        }
    }

    /// A poisoned lock only means that another task panicked between two plain writes; the maps are whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The shards of a batch in the making, with their epochs. None of them is handed over before this is dropped, and by then
/// what was started of them is known as unsettled.
pub(super) struct ShardGuard {
    holdings: Arc<OwnedShards>,
    epochs: BTreeMap<ShardId, Epoch>,
}

impl ShardGuard {
    /// Pledges `shard` too. Returns false when no mail may be started of it right now.
    pub(super) fn add(&mut self, shard: ShardId) -> bool {
        if self.epochs.contains_key(&shard) {
            return true;
        }
        let mut state = self.holdings.state();
        let open = state.held.get(&shard).copied().filter(|held| !held.is_draining);
        let Some(epoch) = open.and_then(|held| self.holdings.trusted(held)) else { return false };
        *state.pledges.entry(shard).or_default() += 1;
        self.epochs.insert(shard, epoch);
        true
    }

    /// Returns the epoch under which `shard` was pledged.
    pub(super) fn epoch(&self, shard: ShardId) -> Option<Epoch> {
        self.epochs.get(&shard).copied()
    }

    /// Returns what was pledged.
    pub(super) fn epochs(&self) -> Vec<(ShardId, Epoch)> {
        self.epochs.iter().map(|(shard, epoch)| (*shard, *epoch)).collect()
    }
}

impl Drop for ShardGuard {
    fn drop(&mut self) {
        let mut state = self.holdings.state();
        for shard in self.epochs.keys() {
            let left = state.pledges.get(shard).map_or(0, |pledges| pledges - 1);
            if left == 0 {
                state.pledges.remove(shard)
            } else {
                state.pledges.insert(*shard, left)
            };
        }
    }
}

#[cfg(test)]
mod tests;
