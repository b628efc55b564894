//! This model test runs the rebalance under leases: workers send heartbeats one after another, each with a
//! snapshot of its own moment, and one worker with a stale snapshot.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const SHARDS: u16 = 64;

fn run(n: usize) -> RunId {
    RunId(Uuid::from_u64_pair(7, n as u64))
}

/// The owned shards that each member reported at its last heartbeat, with the time of the report.
type Members = BTreeMap<RunId, (i64, ShardSet)>;

#[derive(Default)]
struct Model {
    beats: i64,
    /// The lease owner of each shard.
    leases: BTreeMap<ShardId, RunId>,
    members: Members,
    moves: usize,
}

impl Model {
    fn held(&self, run: RunId) -> ShardSet {
        self.leases.iter().filter(|(_, owner)| **owner == run).map(|(shard, _)| *shard).collect()
    }

    fn say(&mut self, run: RunId) {
        self.beats += 1;
        self.members.insert(run, (self.beats, self.held(run)));
    }

    /// Runs one heartbeat of `run`. It reports its shards and reads all members (or `stale`, an older state
    /// of them). It releases the shards that another worker should own, and acquires its own. A worker with changed
    /// shards reports again soon.
    fn beat(&mut self, run: RunId, stale: Option<&Members>) {
        self.say(run);
        let mut seen = stale.unwrap_or(&self.members).clone();
        seen.insert(run, self.members[&run].clone());
        let claims: Vec<ShardClaim<'_>> =
            seen.iter().map(|(run, (said, held))| ShardClaim { run: *run, said: *said, held }).collect();
        let live: Vec<RunId> = seen.keys().copied().collect();
        let wanted = target_owners(&current_owners(SHARDS, &claims), &live);
        let before = self.held(run);
        for (shard, owner) in (0..).map(ShardId).zip(wanted) {
            match self.leases.get(&shard) {
                Some(holder) if *holder == run && owner != Some(run) => drop(self.leases.remove(&shard)),
                None if owner == Some(run) => {
                    self.moves += 1;
                    self.leases.insert(shard, run);
                }
                // A worker never takes another worker's lease, whatever its snapshot shows.
                _ => {}
            }
        }
        if self.held(run) != before {
            self.say(run);
        }
    }

    /// Removes a member and its leases.
    fn end(&mut self, run: RunId) {
        self.members.remove(&run);
        self.leases.retain(|_, owner| *owner != run);
    }

    fn free(&self) -> Vec<ShardId> {
        (0..i32::from(SHARDS)).map(ShardId).filter(|shard| !self.leases.contains_key(shard)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn from_differing_snapshots_all_that_is_free_is_taken_within_two_heartbeats(
        before in 1usize..12,
        joins in 0usize..6,
        leaves in 0usize..6,
        stale in any::<usize>(),
        turns in prop::collection::vec(any::<usize>(), 10),
    ) {
        let mut model = Model::default();
        let mut live: Vec<RunId> = (0..before).map(run).collect();
        for _ in 0..8 {
            live.iter().for_each(|run| model.beat(*run, None));
        }
        prop_assert!(model.free().is_empty());
        let old = model.members.clone();
        for n in 0..leaves.min(before - 1) {
            model.end(run(n));
            live.retain(|live| *live != run(n));
        }
        live.extend((0..joins).map(|n| run(100 + n)));
        let stale = live[stale % live.len()];
        // The number of heartbeats of all workers for which each shard has been free.
        let mut free: BTreeMap<ShardId, u32> = BTreeMap::new();
        for (round, turn) in turns.iter().enumerate() {
            let by = turn % live.len();
            live.rotate_left(by);
            for run in &live {
                model.beat(*run, (round == 0 && *run == stale).then_some(&old));
            }
            free = model.free().into_iter().map(|shard| (shard, free.get(&shard).unwrap_or(&0) + 1)).collect();
            prop_assert!(free.values().all(|beats| *beats <= 2), "round {round}: {free:?}");
        }
        prop_assert!(free.is_empty());
        let (floor, ceiling) = (usize::from(SHARDS) / live.len(), usize::from(SHARDS).div_ceil(live.len()));
        for run in &live {
            let held = model.held(*run).len();
            prop_assert!((floor..=ceiling).contains(&held), "{held} of {floor}..{ceiling}");
        }
        let settled = model.moves;
        live.iter().for_each(|run| model.beat(*run, None));
        prop_assert_eq!(model.moves, settled, "what has settled does not move");
    }
}
