//! These are the conformance cases of the `Caps` port.

mod hosts;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use warmup::{
    domain::{
        caps::{CapLimits, HostCaps},
        id::UserId,
    },
    ports::{CapKind, Caps, Grant, PortError},
};

pub use self::hosts::*;
use crate::{asks, rolling::assert_never_more};

/// A set of buckets, empty at first, and the faults of its service.
#[async_trait]
pub trait CapsWorld: Send + Sync {
    /// Empties the world's buckets and opens them with these limits.
    async fn limited_caps(&self, limits: CapLimits, hosts: HostCaps) -> Arc<dyn Caps>;
    /// Empties the world's buckets and opens them without host limits.
    async fn caps(&self, limits: CapLimits) -> Arc<dyn Caps> {
        self.limited_caps(limits, HostCaps::default()).await
    }
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
macro_rules! caps_conformance {
    ($world:path) => {
        $crate::conformance_cases!(
            $crate::conformance::caps, $world,
            a_cold_bucket_holds_exactly_nothing_and_begins_to_fill
            a_batch_is_answered_in_order_and_an_empty_one_with_nothing
            a_refusal_skips_that_mail_and_takes_from_no_bucket
            a_granted_mail_takes_from_each_of_the_four
            the_promised_instant_grants_and_the_one_before_refuses
            a_limit_of_0_lets_nothing_through
            lost_buckets_are_cold
            time_that_goes_back_a_little_adds_nothing
            a_bucket_of_the_future_is_cold
            without_a_time_the_services_own_is_used
            racing_callers_never_pass_the_limit
            a_service_that_is_away_is_unavailable
            a_lost_answer_is_unknown_and_the_tokens_are_gone
            a_host_s_mails_take_from_each_of_its_rates
            a_refused_host_holds_up_nobody_else_and_takes_from_no_bucket
            a_host_that_nobody_limits_has_no_bucket
            no_more_connections_are_open_than_the_host_has
            a_connection_ends_by_itself_at_its_time_and_not_before
            what_is_given_back_is_free_at_once_and_giving_back_is_repeatable
            a_mail_that_is_refused_takes_no_connection
            after_a_loss_no_connection_is_granted_until_all_have_ended
            a_lost_answer_leaves_connections_taken_that_can_be_given_back
            racing_callers_never_open_too_many_connections
        );
    };
}

const SECOND: i64 = 1_000_000;
const START: i64 = 1_700_000_000 * SECOND;
const ALICE: UserId = UserId(1);
const BERTA: UserId = UserId(2);

/// Limits wide enough that they refuse no mail of a case about another cap: one token per millisecond, and
/// room for thousands.
pub const WIDE: CapLimits =
    CapLimits { global_hour: 4_000_000, global_minute: 70_000, user_hour: 4_000_000, user_minute: 70_000, burst: 0.05 };

/// Fills the buckets of `users` up to `now`, an hour after their first request.
async fn filled(caps: &dyn Caps, users: &[UserId], now: i64) {
    let refused = caps.grant(Some(now - 3_600 * SECOND), &asks::of(users), &[]).await.unwrap();
    assert!(refused.iter().all(|grant| *grant != Grant::Granted), "{refused:?}");
}

async fn count(caps: &dyn Caps, now: i64, asks: usize) -> usize {
    let answers = caps.grant(Some(now), &asks::of(&vec![ALICE; asks]), &[]).await.unwrap();
    answers.iter().filter(|grant| **grant == Grant::Granted).count()
}

pub async fn a_cold_bucket_holds_exactly_nothing_and_begins_to_fill(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { global_minute: 5, ..WIDE }).await;
    assert_eq!(count(&*caps, START, 10).await, 0);
    assert_eq!(count(&*caps, START + 16_249_999, 10).await, 0);
    assert_eq!(count(&*caps, START + 16_250_000, 10).await, 1);
}

pub async fn a_batch_is_answered_in_order_and_an_empty_one_with_nothing(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { user_minute: 1, ..WIDE }).await;
    assert_eq!(caps.grant(Some(START), &[], &[]).await.unwrap(), []);
    filled(&*caps, &[ALICE], START).await;
    let answers = caps.grant(Some(START), &asks::of(&[BERTA, ALICE, BERTA, ALICE]), &[]).await.unwrap();
    let granted: Vec<bool> = answers.iter().map(|answer| *answer == Grant::Granted).collect();
    assert_eq!(granted, [false, true, false, false], "only Alice's bucket is full, and holds one");
}

pub async fn a_refusal_skips_that_mail_and_takes_from_no_bucket(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { global_minute: 40, user_minute: 1, ..WIDE }).await;
    filled(&*caps, &[ALICE, BERTA], START).await;
    let answers = caps.grant(Some(START), &asks::of(&[ALICE, ALICE, ALICE, BERTA]), &[]).await.unwrap();
    let short = Grant::Refused { cap: CapKind::UserMinute, wait: Duration::from_secs(65) };
    assert_eq!(answers, [Grant::Granted, short, short, Grant::Granted], "the fleet's minute holds two");
}

pub async fn a_granted_mail_takes_from_each_of_the_four(world: &dyn CapsWorld) {
    let one = [
        (CapKind::GlobalHour, CapLimits { global_hour: 1, ..WIDE }, 3_605),
        (CapKind::GlobalMinute, CapLimits { global_minute: 1, ..WIDE }, 65),
        (CapKind::UserHour, CapLimits { user_hour: 1, ..WIDE }, 3_605),
        (CapKind::UserMinute, CapLimits { user_minute: 1, ..WIDE }, 65),
    ];
    for (cap, limits, seconds) in one {
        let caps = world.caps(limits).await;
        filled(&*caps, &[ALICE], START).await;
        let later = START + 5 * SECOND;
        let short = Grant::Refused { cap, wait: Duration::from_secs(seconds) };
        assert_eq!(caps.grant(Some(later), &asks::of(&[ALICE, ALICE]), &[]).await.unwrap(), [Grant::Granted, short]);
    }
}

pub async fn the_promised_instant_grants_and_the_one_before_refuses(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { global_hour: 1_000, user_minute: 7, ..WIDE }).await;
    let mut now = START;
    for _ in 0..50 {
        let Grant::Refused { wait, .. } = caps.grant(Some(now), &asks::of(&[ALICE]), &[]).await.unwrap()[0] else {
            now += 1;
            continue;
        };
        let promised = now + wait.as_micros() as i64;
        // Waits are in whole milliseconds, rounded up.
        assert_eq!(count(&*caps, promised - 1_000, 1).await, 0);
        assert_eq!(count(&*caps, promised, 1).await, 1);
        now = promised;
    }
}

pub async fn a_limit_of_0_lets_nothing_through(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { user_hour: 0, ..WIDE }).await;
    for hour in 0..10 {
        let answer = caps.grant(Some(START + hour * 3_600 * SECOND), &asks::of(&[ALICE]), &[]).await.unwrap()[0];
        assert_eq!(answer, Grant::Refused { cap: CapKind::UserHour, wait: Duration::from_secs(3_605) });
    }
}

pub async fn lost_buckets_are_cold(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { global_minute: 200, ..WIDE }).await;
    filled(&*caps, &[ALICE], START).await;
    assert_eq!(count(&*caps, START, 4).await, 4, "of the ten that it holds");
    world.lose().await;
    assert_eq!(count(&*caps, START, 10).await, 0);
    assert_eq!(count(&*caps, START + 342_106, 10).await, 1);
}

pub async fn time_that_goes_back_a_little_adds_nothing(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { global_minute: 200, ..WIDE }).await;
    filled(&*caps, &[ALICE], START).await;
    assert_eq!(count(&*caps, START, 6).await, 6, "of the ten that it holds");
    for back in [1, SECOND, 50 * SECOND] {
        assert_eq!(count(&*caps, START - back, 10).await, 0, "what was saved later is not spent earlier");
    }
    assert_eq!(count(&*caps, START, 10).await, 4, "they are still there, and not one more");
}

pub async fn a_bucket_of_the_future_is_cold(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { global_minute: 200, ..WIDE }).await;
    // For three seconds the clock is an hour ahead.
    filled(&*caps, &[ALICE], START + 3_600 * SECOND).await;
    assert_eq!(count(&*caps, START + 3_600 * SECOND, 6).await, 6);
    let right = START + 3 * SECOND;
    assert_eq!(count(&*caps, right, 10).await, 0, "nothing that was saved in the future is spent now");
    assert_eq!(count(&*caps, right + 342_106, 10).await, 1, "and it fills from now on");
}

pub async fn without_a_time_the_services_own_is_used(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { global_minute: 1, ..WIDE }).await;
    let refused = Grant::Refused { cap: CapKind::GlobalMinute, wait: Duration::from_secs(65) };
    assert_eq!(caps.grant(None, &asks::of(&[ALICE]), &[]).await.unwrap(), [refused], "its bucket is new");
    // The service's own time is after 2023, so its bucket lies in the future.
    assert_eq!(caps.grant(Some(START), &asks::of(&[ALICE]), &[]).await.unwrap(), [refused]);
}

pub async fn racing_callers_never_pass_the_limit(world: &dyn CapsWorld) {
    const RACERS: i64 = 16;
    let limit = 60;
    let caps = world.caps(CapLimits { global_minute: limit, ..WIDE }).await;
    filled(&*caps, &[ALICE, BERTA], START).await;
    let race = |racer: i64| {
        let caps = caps.clone();
        async move {
            let mut granted = Vec::new();
            for turn in 0..100 {
                // The racers' clocks differ by up to a second, and their requests overtake each other.
                let now = START + turn * 2 * SECOND + racer * SECOND / RACERS;
                let answers = caps.grant(Some(now), &asks::of(&[ALICE, BERTA, ALICE]), &[]).await.unwrap();
                granted.extend(answers.iter().filter(|answer| **answer == Grant::Granted).map(|_| now));
            }
            granted
        }
    };
    let racers: Vec<_> = (0..RACERS).map(|racer| tokio::spawn(race(racer))).collect();
    let mut granted = Vec::new();
    for racer in racers {
        granted.extend(racer.await.unwrap());
    }
    assert!(granted.len() > 20, "{} granted: nothing raced", granted.len());
    assert_never_more(&granted, limit, 60 * SECOND);
}

pub async fn a_service_that_is_away_is_unavailable(world: &dyn CapsWorld) {
    let caps = world.caps(WIDE).await;
    filled(&*caps, &[ALICE], START).await;
    world.go_away().await;
    for _ in 0..3 {
        let error = caps.grant(Some(START), &asks::of(&[ALICE]), &[]).await.unwrap_err();
        assert!(matches!(error, PortError::Unavailable(_)), "{error:?}");
    }
}

pub async fn a_lost_answer_is_unknown_and_the_tokens_are_gone(world: &dyn CapsWorld) {
    let caps = world.caps(CapLimits { global_minute: 200, ..WIDE }).await;
    filled(&*caps, &[ALICE], START).await;
    world.lose_next_answer().await;
    let error = caps.grant(Some(START), &asks::of(&[ALICE; 7]), &[]).await.unwrap_err();
    assert!(matches!(error, PortError::Unknown(_)), "{error:?}");
    world.mend().await;
    assert_eq!(count(&*caps, START, 10).await, 3, "seven of the ten were granted to somebody who never heard of it");
}
