//! The answer under leases: a model in which workers beat one after another, each with a snapshot of its own moment, and
//! one of them with a stale one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const SHARDS: u16 = 64;

fn run(n: usize) -> RunId {
    RunId(Uuid::from_u64_pair(7, n as u64))
}

/// What each member said at its last beat, and when.
type Members = BTreeMap<RunId, (i64, ShardSet)>;

#[derive(Default)]
struct Model {
    beats: i64,
    /// Who has which shard's lease.
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

    /// One heartbeat of `run`: it says what it holds, looks at all members, or at what they were in `stale`, gives up what
    /// is wanted elsewhere and asks for what is wanted of it. Whoever changed something says so soon.
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
                // Another's lease is never taken, whatever the snapshot says.
                _ => {}
            }
        }
        if self.held(run) != before {
            self.say(run);
        }
    }

    /// A member is gone, and its leases with it.
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
        // How many heartbeats of everybody each shard has been free for.
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
