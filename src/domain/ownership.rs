//! This module computes the target owner of each shard from the current owners and the live workers. It is a
//! pure function, so all workers compute the same result.
//!
//! *Share*: with `n` shards and `w` workers each worker gets floor(n / w) shards, and n mod w workers get one
//! more. The larger shares go first to workers that already own more than the floor, then to the others, by
//! run.
//!
//! ```text
//!   owned now:   A A A A A A   B B B B   C(dead) C(dead)          alive: A B D, 12 shards, 4 each
//!   kept:        A A A A       B B B B
//!   the pool:            s s           s s            ──rendezvous──▶  D D D D
//! ```
//!
//! A live owner keeps the shards that weigh most with it, up to its share. Surplus and free shards go, one by
//! one, to the worker with the highest weight among those below their share. So no worker ends above the
//! ceiling or below the floor. Only surplus shards of a live owner move; with fewer moves some worker would
//! stay above its share. The weights come from a fixed hash over fixed bytes, so they are the same on every
//! machine and in every release.
//!
//! *Why not rendezvous hashing alone*: it keeps no state. At 256 shards it leaves one of 20 workers with 1.9
//! times its share. If it is bounded, it moves up to 1.9 times the minimum.
//!
//! *Why it converges*: during a change the workers' snapshots differ. A worker that takes a part of its
//! shards removes these from the pool and from its own room. The remaining shards are assigned as before.
//! Until it has converged, the leases keep two workers from one shard.

use super::{
    id::{RunId, ShardId},
    shard_set::ShardSet,
};

/// The shards that a worker reports as owned.
#[derive(Clone, Copy, Debug)]
pub struct ShardClaim<'a> {
    pub run: RunId,
    /// The time of the report; only the order matters.
    pub said: i64,
    pub held: &'a ShardSet,
}

/// Returns the current owner of each of `shards` shards. If two workers claim a shard, as happens briefly in
/// a hand-over, the later report counts.
pub fn current_owners(shards: u16, claims: &[ShardClaim<'_>]) -> Vec<Option<RunId>> {
    let mut owners = vec![None; usize::from(shards)];
    let mut claims: Vec<&ShardClaim<'_>> = claims.iter().collect();
    claims.sort_unstable_by_key(|claim| (claim.said, claim.run));
    for claim in claims {
        for shard in claim.held.iter() {
            if let Some(owner) = usize::try_from(shard.0).ok().and_then(|place| owners.get_mut(place)) {
                *owner = Some(claim.run);
            }
        }
    }
    owners
}

/// Returns the target owner of each shard from the current owners and the live workers; all `None` without
/// live workers.
///
/// Costs one hash for each shard that moves and each worker: 4,096 shards and 50 workers take less than a millisecond.
pub fn target_owners(present: &[Option<RunId>], live: &[RunId]) -> Vec<Option<RunId>> {
    let mut workers = shares(present, live);
    let mut wanted = vec![None; present.len()];
    for worker in &mut workers {
        worker.keep_the_heaviest();
        for place in &worker.held {
            wanted[*place] = Some(worker.run);
        }
    }
    let mut below: Vec<Worker> = workers.into_iter().filter(|worker| worker.room() > 0).collect();
    for (place, owner) in wanted.iter_mut().enumerate() {
        if owner.is_none()
            && let Some(taker) = (0..below.len()).max_by_key(|n| (below[*n].weight(place), below[*n].run))
        {
            *owner = Some(below[taker].run);
            below[taker].held.push(place);
            if below[taker].room() == 0 {
                below.swap_remove(taker);
            }
        }
    }
    wanted
}

/// A live worker, with the places of its shards.
struct Worker {
    run: RunId,
    seed: u64,
    held: Vec<usize>,
    share: usize,
}

impl Worker {
    fn room(&self) -> usize {
        self.share.saturating_sub(self.held.len())
    }

    /// Returns the weight of the shard at `place` for this worker. Any order is fine if all workers compute
    /// the same one.
    fn weight(&self, place: usize) -> u64 {
        mix(self.seed ^ (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn keep_the_heaviest(&mut self) {
        if self.held.len() > self.share {
            let mut held = std::mem::take(&mut self.held);
            held.sort_by_cached_key(|place| (std::cmp::Reverse(self.weight(*place)), *place));
            held.truncate(self.share);
            self.held = held;
        }
    }
}

/// Returns the live workers, ordered by run, with their current shards and their share.
fn shares(present: &[Option<RunId>], live: &[RunId]) -> Vec<Worker> {
    let mut runs = live.to_vec();
    runs.sort_unstable();
    runs.dedup();
    let worker = |run: &RunId| Worker { run: *run, seed: seed(*run), held: Vec::new(), share: 0 };
    let mut workers: Vec<Worker> = runs.iter().map(worker).collect();
    for (place, owner) in present.iter().enumerate() {
        if let Some(Ok(owner)) = owner.map(|owner| runs.binary_search(&owner)) {
            workers[owner].held.push(place);
        }
    }
    let floor = present.len().checked_div(workers.len()).unwrap_or_default();
    let larger = present.len() - floor * workers.len();
    let mut order: Vec<usize> = (0..workers.len()).collect();
    order.sort_by_key(|n| workers[*n].held.len() <= floor);
    for (rank, n) in order.into_iter().enumerate() {
        workers[n].share = floor + usize::from(rank < larger);
    }
    workers
}

/// Returns the shards that `wanted`, a result of `target_owners`, assigns to `run`.
pub fn of(run: RunId, wanted: &[Option<RunId>]) -> ShardSet {
    let mine = wanted.iter().zip(0i32..).filter(|(owner, _)| **owner == Some(run));
    mine.map(|(_, shard)| ShardId(shard)).collect()
}

fn seed(run: RunId) -> u64 {
    let (high, low) = run.0.as_u64_pair();
    mix(high ^ mix(low))
}

/// Mixes the bits of a number with the finaliser of SplitMix64, as in `shard_of`.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod leased;
#[cfg(test)]
mod tests;
