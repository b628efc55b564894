//! `OwnedShards` stores the shards that this worker owns, each with its epoch and local lease deadline.
//!
//! ```text
//!   gain ──▶ open ──hand over──▶ draining ──idle──▶ lose
//!             ▲                      │
//!             └─wanted here again────┘
//! ```
//!
//! Mails may start from an *open* shard. A *draining* shard goes to another worker: its in-flight mails continue,
//! because the lease is still ours, but no new mail starts. A batch in preparation guards its shards with a
//! `ShardGuard`, so that a start and a hand-over can't race. A shard is idle when no batch guards it and all its mails
//! are settled.

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
    /// Acquired or opened again, and not planned yet.
    added_shards: BTreeSet<ShardId>,
    /// Draining or lost, and still in the plan.
    removed_shards: BTreeSet<ShardId>,
    pledges: BTreeMap<ShardId, usize>,
    benched: bool,
}

/// The owned shards. Only `Membership` changes them; every task that must know whether it may still act reads them.
pub(super) struct OwnedShards {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    changed: Notify,
}

impl OwnedShards {
    pub(super) fn new(clock: Arc<dyn Clock>) -> OwnedShards {
        OwnedShards { clock, state: Mutex::default(), changed: Notify::new() }
    }

    /// Returns the epoch under which the in-flight mails of `shard` may continue now; `None` after the deadline.
    pub(super) fn epoch(&self, shard: ShardId) -> Option<Epoch> {
        self.trusted(self.state().held.get(&shard).copied()?)
    }

    /// Returns whether this worker certainly still owns `shard` under `epoch`.
    pub(super) fn is_owned(&self, shard: ShardId, epoch: Epoch) -> bool {
        self.epoch(shard) == Some(epoch)
    }

    /// Returns the shards from which mails may start now.
    pub(super) fn owned(&self) -> Vec<ShardId> {
        let state = self.state();
        let open = state.held.iter().filter(|(_, held)| !held.is_draining && self.trusted(**held).is_some());
        open.map(|(shard, _)| *shard).collect()
    }

    /// Returns all shards whose lease was acquired and not lost since, even if the local deadline has passed.
    pub(super) fn all(&self) -> Vec<(ShardId, Epoch)> {
        self.state().held.iter().map(|(shard, held)| (*shard, held.epoch)).collect()
    }

    /// Adds shards with an acquired lease and a raised epoch; the request for the lease began at the start of `trust`.
    pub(super) fn gain(&self, shards: &[(ShardId, Epoch)], trust: LeaseDeadline) {
        let mut state = self.state();
        let held = |epoch: &Epoch| OwnedShard { epoch: *epoch, trust, is_draining: false };
        state.held.extend(shards.iter().map(|(shard, epoch)| (*shard, held(epoch))));
        state.added_shards.extend(shards.iter().map(|(shard, _)| *shard));
        self.tell(shards.len());
    }

    /// Extends the deadline of shards whose lease was renewed.
    pub(super) fn extend(&self, shards: &[ShardId], trust: LeaseDeadline) {
        let mut state = self.state();
        for shard in shards {
            if let Some(held) = state.held.get_mut(shard) {
                held.trust = trust;
            }
        }
    }

    /// Drops shards that this worker does not own.
    pub(super) fn lose(&self, shards: &[ShardId]) {
        let mut state = self.state();
        let lost: Vec<ShardId> = shards.iter().copied().filter(|shard| state.held.remove(shard).is_some()).collect();
        state.added_shards.retain(|shard| !lost.contains(shard));
        self.tell(lost.len());
        state.removed_shards.extend(lost);
    }

    /// Drains the shards of `going`, and opens all others again.
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

    /// Sets whether the worker is suspended. `Membership` then hands over all shards and acquires none, because this
    /// worker can't plan them.
    pub(super) fn bench(&self, benched: bool) {
        self.state().benched = benched;
    }

    pub(super) fn is_benched(&self) -> bool {
        self.state().benched
    }

    /// Returns the draining shards, each with whether a batch guards it.
    pub(super) fn draining_shards(&self) -> Vec<(ShardId, bool)> {
        let state = self.state();
        let closing = state.held.iter().filter(|(_, held)| held.is_draining);
        closing.map(|(shard, _)| (*shard, state.pledges.contains_key(shard))).collect()
    }

    /// Creates an empty guard for the shards of a batch.
    pub(super) fn pledge(self: &Arc<OwnedShards>) -> ShardGuard {
        ShardGuard { holdings: Arc::clone(self), epochs: BTreeMap::new() }
    }

    /// Waits until a shard was added that is not planned yet, or was removed and is still in the plan.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes the shards that were added since the last call.
    pub(super) fn take_fresh(&self) -> BTreeSet<ShardId> {
        std::mem::take(&mut self.state().added_shards)
    }

    /// Takes the shards that were removed since the last call. Call it before `take_fresh`: a shard may be in both.
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

    /// Locks the state. A poisoned lock is fine: another task panicked between two plain writes, so the maps are
    /// complete.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A `ShardGuard` delays the hand-over of the shards of a batch in preparation. When it is dropped, the started mails
/// of the batch are already recorded as in flight.
pub(super) struct ShardGuard {
    holdings: Arc<OwnedShards>,
    epochs: BTreeMap<ShardId, Epoch>,
}

impl ShardGuard {
    /// Guards `shard` too. Returns false when no mail of it may start now.
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

    /// Returns the epoch of `shard` when it was guarded.
    pub(super) fn epoch(&self, shard: ShardId) -> Option<Epoch> {
        self.epochs.get(&shard).copied()
    }

    /// Returns the guarded shards with their epochs.
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
