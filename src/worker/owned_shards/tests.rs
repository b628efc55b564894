use std::time::Duration;

use super::*;
use crate::{domain::lease::MachineTime, simulation::VirtualClock};

const TTL: Duration = Duration::from_secs(15);

fn holdings() -> (Arc<dyn Clock>, Arc<OwnedShards>) {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(chrono::DateTime::UNIX_EPOCH));
    (Arc::clone(&clock), Arc::new(OwnedShards::new(clock)))
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_ours_only_as_long_as_its_lease_is_certain() {
    let (clock, holdings) = holdings();
    holdings.gain(&[(ShardId(1), Epoch(7))], LeaseDeadline::from_request_time(clock.machine(), TTL));
    clock.sleep(TTL - Duration::from_millis(1)).await;
    assert_eq!(holdings.epoch(ShardId(1)), Some(Epoch(7)));
    clock.sleep(Duration::from_millis(1)).await;
    assert_eq!((holdings.epoch(ShardId(1)), holdings.owned()), (None, vec![]));
    assert_eq!(holdings.all().len(), 1, "it may still be renewed");
}

#[tokio::test(start_paused = true)]
async fn another_epoch_is_another_ownership() {
    let (clock, holdings) = holdings();
    holdings.gain(&[(ShardId(1), Epoch(7))], LeaseDeadline::from_request_time(clock.machine(), TTL));
    assert!(holdings.is_owned(ShardId(1), Epoch(7)) && !holdings.is_owned(ShardId(1), Epoch(6)));
    holdings.lose(&[ShardId(1)]);
    assert!(!holdings.is_owned(ShardId(1), Epoch(7)));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_counts_from_before_it_was_asked() {
    let (clock, holdings) = holdings();
    holdings.gain(&[(ShardId(1), Epoch(7))], LeaseDeadline::from_request_time(clock.machine(), TTL));
    let asked = clock.machine();
    clock.sleep(Duration::from_secs(9)).await;
    holdings.extend(&[ShardId(1), ShardId(2)], LeaseDeadline::from_request_time(asked, TTL));
    clock.sleep(Duration::from_secs(6)).await;
    assert_eq!(holdings.epoch(ShardId(1)), None);
    assert_eq!(holdings.epoch(ShardId(2)), None, "what is not held is not extended");
    assert!(asked < MachineTime(TTL));
}

#[tokio::test(start_paused = true)]
async fn what_was_gained_is_planned_once() {
    let (clock, holdings) = holdings();
    holdings.gain(
        &[(ShardId(1), Epoch(1)), (ShardId(2), Epoch(1))],
        LeaseDeadline::from_request_time(clock.machine(), TTL),
    );
    holdings.changed().await;
    assert_eq!(holdings.take_fresh(), BTreeSet::from([ShardId(1), ShardId(2)]));
    assert!(holdings.take_fresh().is_empty());
}

fn held(holdings: &OwnedShards, clock: &dyn Clock, shards: &[i32]) {
    let shards: Vec<(ShardId, Epoch)> = shards.iter().map(|shard| (ShardId(*shard), Epoch(1))).collect();
    holdings.gain(&shards, LeaseDeadline::from_request_time(clock.machine(), TTL));
}

#[tokio::test(start_paused = true)]
async fn a_closing_shard_starts_nothing_and_what_was_started_goes_on() {
    let (clock, holdings) = holdings();
    held(&holdings, &*clock, &[1, 2]);
    holdings.hand_over(&BTreeSet::from([ShardId(1)]));
    let mut pledge = holdings.pledge();
    assert!(!pledge.add(ShardId(1)) && pledge.add(ShardId(2)) && !pledge.add(ShardId(3)));
    assert_eq!(holdings.owned(), [ShardId(2)]);
    assert!(holdings.is_owned(ShardId(1), Epoch(1)), "its lease is ours until its last mail is settled");
    assert_eq!(holdings.take_gone(), BTreeSet::from([ShardId(1)]));
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_not_idle_before_the_last_batch_that_pledged_it_is_through() {
    let (clock, holdings) = holdings();
    held(&holdings, &*clock, &[1]);
    let (mut one, mut other) = (holdings.pledge(), holdings.pledge());
    assert!(one.add(ShardId(1)) && one.add(ShardId(1)) && other.add(ShardId(1)));
    assert_eq!((one.epoch(ShardId(1)), other.epochs()), (Some(Epoch(1)), vec![(ShardId(1), Epoch(1))]));
    holdings.hand_over(&BTreeSet::from([ShardId(1)]));
    for pledge in [one, other] {
        assert_eq!(holdings.draining_shards(), [(ShardId(1), true)]);
        drop(pledge);
    }
    assert_eq!(holdings.draining_shards(), [(ShardId(1), false)]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_stays_after_all_is_planned_again() {
    let (clock, holdings) = holdings();
    held(&holdings, &*clock, &[1]);
    holdings.take_fresh();
    holdings.hand_over(&BTreeSet::from([ShardId(1)]));
    holdings.hand_over(&BTreeSet::new());
    assert_eq!((holdings.take_gone().len(), holdings.take_fresh()), (1, BTreeSet::from([ShardId(1)])));
    assert_eq!((holdings.owned(), holdings.draining_shards()), (vec![ShardId(1)], vec![]));
}
