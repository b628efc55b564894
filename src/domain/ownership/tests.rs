use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn run(n: u64) -> RunId {
    RunId(Uuid::from_u64_pair(0x0197_0000_0000_7000, n))
}

fn counts(owners: &[Option<RunId>], live: &[RunId]) -> Vec<usize> {
    live.iter().map(|run| owners.iter().filter(|owner| **owner == Some(*run)).count()).collect()
}

fn assert_balanced(owners: &[Option<RunId>], live: &[RunId]) {
    let (floor, ceiling) = (owners.len() / live.len(), owners.len().div_ceil(live.len()));
    let counts = counts(owners, live);
    assert!(counts.iter().all(|held| (floor..=ceiling).contains(held)), "{floor}..{ceiling}: {counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), owners.len(), "every shard has a live owner");
}

/// Returns the minimum number of moves of shards of live owners. After them no worker has more than the
/// ceiling or less than the floor. Workers above the ceiling give the surplus. Workers below the floor take
/// free shards first, and then shards of workers above the floor.
fn least_moves(owners: &[Option<RunId>], live: &[RunId]) -> usize {
    let (floor, ceiling) = (owners.len() / live.len(), owners.len().div_ceil(live.len()));
    let counts = counts(owners, live);
    let free = owners.len() - counts.iter().sum::<usize>();
    let above: usize = counts.iter().map(|held| held.saturating_sub(ceiling)).sum();
    let lacking: usize = counts.iter().map(|held| floor.saturating_sub(*held)).sum();
    above.max(lacking.saturating_sub(free))
}

fn moved(before: &[Option<RunId>], after: &[Option<RunId>], live: &[RunId]) -> usize {
    let owned = |owner: &Option<RunId>| owner.is_some_and(|owner| live.contains(&owner));
    before.iter().zip(after).filter(|(before, after)| owned(before) && before != after).count()
}

/// A worker joins, or one of the present workers leaves or dies.
#[derive(Clone, Copy, Debug)]
enum Change {
    Join,
    Leave(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![3 => Just(Change::Join), 2 => any::<usize>().prop_map(Change::Leave)];
    prop::collection::vec(change, 1..80)
}

fn follow(shards: usize, changes: &[Change]) {
    let mut live = vec![run(0)];
    let mut owners = target_owners(&vec![None; shards], &live);
    for (change, n) in changes.iter().zip(1..) {
        match change {
            Change::Join if live.len() < 50 => live.push(run(n)),
            Change::Leave(who) if live.len() > 1 => drop(live.swap_remove(who % live.len())),
            Change::Join | Change::Leave(_) => continue,
        }
        let after = target_owners(&owners, &live);
        assert_balanced(&after, &live);
        assert_eq!(moved(&owners, &after, &live), least_moves(&owners, &live), "{change:?} of {}", live.len());
        assert_eq!(target_owners(&after, &live), after, "it has settled");
        owners = after;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whoever_comes_and_goes_nobody_is_above_the_ceiling_or_below_the_floor_and_the_least_moves(changes in changes()) {
        follow(256, &changes);
    }

    #[test]
    fn the_answer_does_not_depend_on_the_order_of_the_workers(
        held in prop::collection::vec(prop::option::of(0u64..60), 256),
        live in prop::collection::btree_set(0u64..60, 1..50),
        turn in any::<usize>(),
    ) {
        let owners: Vec<Option<RunId>> = held.into_iter().map(|owner| owner.map(run)).collect();
        let live: Vec<RunId> = live.into_iter().map(run).collect();
        let mut other = live.clone();
        other.rotate_left(turn % live.len());
        other.push(other[0]);
        let answer = target_owners(&owners, &live);
        assert_balanced(&answer, &live);
        prop_assert_eq!(moved(&owners, &answer, &live), least_moves(&owners, &live), "from any snapshot at all");
        prop_assert_eq!(answer, target_owners(&owners, &other));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn the_same_holds_with_4096_shards(changes in changes()) {
        follow(4_096, &changes);
    }
}

/// Tries every assignment: no balanced one keeps more shards.
#[test]
fn no_balanced_assignment_moves_fewer() {
    let live = [run(1), run(2), run(3)];
    let states = [None, Some(run(1)), Some(run(2)), Some(run(3)), Some(run(9))];
    let assignment = |code: usize, of: &[Option<RunId>]| -> Vec<Option<RunId>> {
        (0..4u32).map(|place| of[code / of.len().pow(place) % of.len()]).collect()
    };
    for code in 0..states.len().pow(4) {
        let owners = assignment(code, &states);
        let balanced = (0..3usize.pow(4)).map(|code| assignment(code, &states[1..4]));
        let balanced = balanced.filter(|owners| counts(owners, &live).iter().all(|held| (1..=2).contains(held)));
        let least = balanced.map(|after| moved(&owners, &after, &live)).min().unwrap();
        assert_eq!(moved(&owners, &target_owners(&owners, &live), &live), least, "{owners:?}");
        assert_eq!(least_moves(&owners, &live), least, "{owners:?}");
    }
}

#[test]
fn a_restarted_worker_is_another_member() {
    let before = target_owners(&[None; 16], &[run(1), run(2)]);
    let after = target_owners(&before, &[run(1), run(3)]);
    assert_eq!(moved(&before, &after, &[run(1)]), 0);
    assert_balanced(&after, &[run(1), run(3)]);
}

#[test]
fn nobody_alive_owns_nothing() {
    assert_eq!(target_owners(&[Some(run(1)), None], &[]), [None, None]);
    assert!(target_owners(&[], &[run(1)]).is_empty());
}

#[test]
fn more_workers_than_shards_leave_some_with_none() {
    let live: Vec<RunId> = (0..5).map(run).collect();
    assert_balanced(&target_owners(&[None; 3], &live), &live);
}

#[test]
fn the_later_word_counts_where_two_claim_a_shard() {
    let (old, new): (ShardSet, ShardSet) =
        ([ShardId(0), ShardId(1)].into_iter().collect(), [ShardId(1)].into_iter().collect());
    let claims = [ShardClaim { run: run(2), said: 9, held: &new }, ShardClaim { run: run(1), said: 5, held: &old }];
    assert_eq!(current_owners(3, &claims), [Some(run(1)), Some(run(2)), None]);
    let beyond: ShardSet = [ShardId(7)].into_iter().collect();
    assert_eq!(current_owners(3, &[ShardClaim { run: run(1), said: 1, held: &beyond }]), [None; 3]);
}

#[test]
fn the_answer_never_changes_between_releases() {
    let live = [run(1), run(2), run(3)];
    let owners: Vec<u64> =
        target_owners(&[None; 12], &live).into_iter().map(|owner| owner.unwrap().0.as_u64_pair().1).collect();
    assert_eq!(owners, GOLDEN);
    assert_eq!(of(run(2), &target_owners(&[None; 12], &live)).len(), 4);
}

const GOLDEN: [u64; 12] = [3, 2, 3, 3, 2, 2, 2, 3, 1, 1, 1, 1];
