//! These are the conformance cases of the `Leases` port.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use uuid::Uuid;
use warmup::{
    domain::id::{RunId, ShardId},
    ports::{LeaseKey, Leases, PortError},
};

/// A set of leases, all free at first, and the faults of its service.
#[async_trait]
pub trait LeasesWorld: Send + Sync {
    /// Returns the world's leases.
    async fn leases(&self) -> Arc<dyn Leases>;
    /// Lets time pass for the service, so that leases expire.
    async fn pass(&self, time: Duration);
    /// Returns the service's time in microseconds since 1970, within 5 s.
    async fn about_now(&self) -> i64;
    /// Deletes all data of the service.
    async fn lose(&self);
    /// Stops the service from this call on.
    async fn go_away(&self);
    /// Lets the service run the next request and loses its answer.
    async fn lose_next_answer(&self);
    /// Lets answers arrive again.
    async fn mend(&self);
}

/// Expands to a test of each case, in its own module.
#[macro_export]
macro_rules! leases_conformance {
    ($world:path) => {
        $crate::conformance_cases!(
            $crate::conformance::leases, $world,
            a_free_lease_is_taken_and_a_held_one_is_not
            the_owner_takes_its_own_again
            exactly_one_of_many_racers_gets_a_lease
            a_lease_runs_out_at_its_time_and_not_before
            a_renewed_lease_holds_on
            a_renewal_after_the_end_does_not_take_the_lease_again
            another_owners_lease_is_neither_renewed_nor_released
            a_released_lease_is_free
            many_leases_are_answered_in_order_and_none_with_nothing
            lost_leases_are_free_and_not_renewed
            the_clocks_difference_is_told_with_its_sign
            a_service_that_is_away_is_unavailable
            a_lost_answer_is_unknown_and_the_lease_may_be_held
        );
    };
}

const TTL: Duration = Duration::from_secs(15);
const SHARD: LeaseKey = LeaseKey::Shard(ShardId(3));

fn run() -> RunId {
    RunId(Uuid::now_v7())
}

pub async fn a_free_lease_is_taken_and_a_held_one_is_not(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    assert_eq!(leases.acquire(one, &[SHARD], TTL).await.unwrap(), [true]);
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [false]);
    assert_eq!(leases.acquire(other, &[LeaseKey::Solo], TTL).await.unwrap(), [true], "another lease");
}

pub async fn the_owner_takes_its_own_again(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    leases.acquire(one, &[SHARD], TTL).await.unwrap();
    world.pass(TTL / 2).await;
    assert_eq!(leases.acquire(one, &[SHARD], TTL).await.unwrap(), [true]);
    world.pass(TTL * 3 / 4).await;
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [false], "it was extended");
}

pub async fn exactly_one_of_many_racers_gets_a_lease(world: &dyn LeasesWorld) {
    let leases = world.leases().await;
    let keys: Vec<LeaseKey> = (0..50).map(|shard| LeaseKey::Shard(ShardId(shard))).collect();
    let race = |racer: usize| {
        let (leases, mut keys) = (leases.clone(), keys.clone());
        // Each racer begins at another place and requests a few at a time, so that they collide.
        keys.rotate_left(racer * 3);
        async move {
            let owner = run();
            let mut held = 0;
            for some in keys.chunks(5) {
                held += leases.acquire(owner, some, TTL).await.unwrap().iter().filter(|held| **held).count();
            }
            held
        }
    };
    let racers: Vec<_> = (0..16).map(|racer| tokio::spawn(race(racer))).collect();
    let mut held = 0;
    for racer in racers {
        held += racer.await.unwrap();
    }
    assert_eq!(held, keys.len(), "each lease has one owner");
}

pub async fn a_lease_runs_out_at_its_time_and_not_before(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    leases.acquire(one, &[SHARD], TTL).await.unwrap();
    world.pass(TTL - Duration::from_secs(5)).await;
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [false]);
    world.pass(Duration::from_secs(5)).await;
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [true]);
}

pub async fn a_renewed_lease_holds_on(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    leases.acquire(one, &[SHARD], TTL).await.unwrap();
    for _ in 0..5 {
        world.pass(TTL / 2).await;
        assert_eq!(leases.renew(one, &[SHARD], TTL).await.unwrap(), [true]);
    }
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [false]);
}

pub async fn a_renewal_after_the_end_does_not_take_the_lease_again(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    leases.acquire(one, &[SHARD], TTL).await.unwrap();
    world.pass(TTL).await;
    assert_eq!(leases.renew(one, &[SHARD], TTL).await.unwrap(), [false]);
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [true]);
    assert_eq!(leases.renew(one, &[SHARD], TTL).await.unwrap(), [false]);
}

pub async fn another_owners_lease_is_neither_renewed_nor_released(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    leases.acquire(one, &[SHARD], TTL).await.unwrap();
    world.pass(TTL / 2).await;
    assert_eq!(leases.renew(other, &[SHARD], TTL).await.unwrap(), [false]);
    leases.release(other, &[SHARD]).await.unwrap();
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [false], "it was not released");
    world.pass(TTL / 2).await;
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [true], "it was not extended");
}

pub async fn a_released_lease_is_free(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    leases.acquire(one, &[SHARD], TTL).await.unwrap();
    leases.release(one, &[SHARD]).await.unwrap();
    assert_eq!(leases.renew(one, &[SHARD], TTL).await.unwrap(), [false]);
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [true]);
    leases.release(one, &[SHARD]).await.unwrap();
    assert_eq!(leases.renew(other, &[SHARD], TTL).await.unwrap(), [true], "a second release harms nobody");
}

pub async fn many_leases_are_answered_in_order_and_none_with_nothing(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    let keys = [LeaseKey::Shard(ShardId(0)), LeaseKey::Solo, LeaseKey::Leader];
    leases.acquire(other, &keys[1..2], TTL).await.unwrap();
    assert_eq!(leases.acquire(one, &keys, TTL).await.unwrap(), [true, false, true]);
    assert_eq!(leases.renew(one, &keys, TTL).await.unwrap(), [true, false, true]);
    leases.release(one, &keys).await.unwrap();
    assert_eq!(leases.renew(other, &keys, TTL).await.unwrap(), [false, true, false]);
    assert!(leases.acquire(one, &[], TTL).await.unwrap().is_empty());
    assert!(leases.renew(one, &[], TTL).await.unwrap().is_empty());
    leases.release(one, &[]).await.unwrap();
}

pub async fn lost_leases_are_free_and_not_renewed(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    leases.acquire(one, &[SHARD], TTL).await.unwrap();
    world.lose().await;
    assert_eq!(leases.renew(one, &[SHARD], TTL).await.unwrap(), [false]);
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [true]);
}

pub async fn the_clocks_difference_is_told_with_its_sign(world: &dyn LeasesWorld) {
    let leases = world.leases().await;
    let late = leases.skew(world.about_now().await - 60_000_000).await.unwrap();
    assert!((55_000_000..65_000_000).contains(&late), "ours is a minute behind, and theirs {late} us ahead");
    let early = leases.skew(world.about_now().await + 60_000_000).await.unwrap();
    assert!((-65_000_000..-55_000_000).contains(&early), "ours is a minute ahead, and theirs {early} us");
}

pub async fn a_service_that_is_away_is_unavailable(world: &dyn LeasesWorld) {
    let (leases, one) = (world.leases().await, run());
    leases.acquire(one, &[SHARD], TTL).await.unwrap();
    world.go_away().await;
    let unavailable = |error| matches!(error, PortError::Unavailable(_));
    assert!(leases.acquire(one, &[SHARD], TTL).await.is_err_and(unavailable));
    assert!(leases.renew(one, &[SHARD], TTL).await.is_err_and(unavailable));
    assert!(leases.release(one, &[SHARD]).await.is_err_and(unavailable));
    assert!(leases.skew(0).await.is_err_and(unavailable));
}

pub async fn a_lost_answer_is_unknown_and_the_lease_may_be_held(world: &dyn LeasesWorld) {
    let (leases, one, other) = (world.leases().await, run(), run());
    // An earlier request loads the script, so that the next request is the one under test.
    leases.acquire(one, &[LeaseKey::Solo], TTL).await.unwrap();
    world.lose_next_answer().await;
    let error = leases.acquire(one, &[SHARD], TTL).await.unwrap_err();
    assert!(matches!(error, PortError::Unknown(_)), "{error:?}");
    world.mend().await;
    assert_eq!(leases.acquire(other, &[SHARD], TTL).await.unwrap(), [false], "it is held, though nobody was told");
}
