//! The cases of the `Members` port.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use uuid::Uuid;
use warmup::{
    domain::id::{FleetId, RunId, ShardId, WorkerId},
    ports::{LeaseKey, Member, Members, PortError, Status},
};

use super::leases::LeasesWorld;

/// Leases and members of one service, all free and nobody at first.
#[async_trait]
pub trait MembersWorld: LeasesWorld {
    /// The world's members.
    async fn members(&self) -> Arc<dyn Members>;
}

/// Expands to a test of each case, in a module of its own.
#[macro_export]
macro_rules! members_conformance {
    ($world:path) => {
        $crate::conformance_cases!(
            $crate::conformance::members, $world,
            a_heartbeat_makes_a_member_and_tells_all_of_all
            a_member_lives_as_long_as_it_beats
            who_was_gone_is_told_so
            a_heartbeat_renews_its_own_leases_and_no_others
            a_lease_that_ran_out_is_not_taken_again_by_a_heartbeat
            four_thousand_leases_are_renewed_at_once
            a_member_that_leaves_is_gone_and_the_others_are_not
            who_beat_later_has_the_later_end
            of_many_that_beat_at_once_nobody_is_lost_and_nobody_renews_anothers_lease
            nobody_joins_while_another_fleet_lives
            lost_members_are_forgotten
            a_service_that_is_away_says_so
            a_lost_answer_leaves_it_open
        );
    };
}

const TTL: Duration = Duration::from_secs(15);

fn run() -> RunId {
    RunId(Uuid::now_v7())
}

fn shards(range: std::ops::Range<i32>) -> Vec<LeaseKey> {
    range.map(|shard| LeaseKey::Shard(ShardId(shard))).collect()
}

fn status(id: &str) -> Status {
    let held = [ShardId(3), ShardId(4_095)].into_iter().collect();
    Status { id: WorkerId(id.into()), held, queue_size: 7, state: "running".into(), ..Status::default() }
}

fn runs(members: &[Member]) -> Vec<RunId> {
    members.iter().map(|member| member.run).collect()
}

pub async fn a_heartbeat_makes_a_member_and_tells_all_of_all(world: &dyn MembersWorld) {
    let (members, one, other) = (world.members().await, run(), run());
    assert!(members.members().await.unwrap().is_empty());
    let first = members.heartbeat(one, &status("one"), &[], TTL).await.unwrap();
    assert_eq!((first.known, first.kept, runs(&first.members)), (false, vec![], vec![one]));
    let second = members.heartbeat(other, &status("other"), &[], TTL).await.unwrap();
    assert_eq!(runs(&second.members), [one, other], "ordered by run");
    let told: Vec<&Status> = second.members.iter().map(|member| &member.status).collect();
    assert_eq!(told, [&status("one"), &status("other")]);
    let changed = Status { queue_size: 8, ..status("one") };
    let third = members.heartbeat(one, &changed, &[], TTL).await.unwrap();
    assert!(third.known);
    assert_eq!(third.members[0].status, changed);
    assert_eq!(members.members().await.unwrap(), third.members);
}

pub async fn a_member_lives_as_long_as_it_beats(world: &dyn MembersWorld) {
    let (members, one, other) = (world.members().await, run(), run());
    members.heartbeat(other, &status("other"), &[], TTL).await.unwrap();
    for _ in 0..3 {
        members.heartbeat(one, &status("one"), &[], TTL).await.unwrap();
        world.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(runs(&members.members().await.unwrap()), [one]);
    world.pass(Duration::from_secs(5)).await;
    assert!(members.members().await.unwrap().is_empty());
}

pub async fn who_was_gone_is_told_so(world: &dyn MembersWorld) {
    let (members, one, other) = (world.members().await, run(), run());
    for known in [false, true] {
        assert_eq!(members.heartbeat(one, &status("one"), &[], TTL).await.unwrap().known, known);
    }
    world.pass(Duration::from_secs(10)).await;
    members.heartbeat(other, &status("other"), &[], TTL).await.unwrap();
    world.pass(Duration::from_secs(5)).await;
    assert!(!members.heartbeat(one, &status("one"), &[], TTL).await.unwrap().known);
}

pub async fn a_heartbeat_renews_its_own_leases_and_no_others(world: &dyn MembersWorld) {
    let (leases, members, one, other) = (world.leases().await, world.members().await, run(), run());
    let keys = shards(0..3);
    leases.acquire(one, &keys[..1], TTL).await.unwrap();
    leases.acquire(other, &keys[1..2], TTL).await.unwrap();
    world.pass(Duration::from_secs(10)).await;
    let pulse = members.heartbeat(one, &status("one"), &keys, TTL).await.unwrap();
    assert_eq!(pulse.kept, [true, false, false]);
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(leases.acquire(run(), &keys, TTL).await.unwrap(), [false, true, true], "another's was not extended");
}

pub async fn a_lease_that_ran_out_is_not_taken_again_by_a_heartbeat(world: &dyn MembersWorld) {
    let (leases, members, one) = (world.leases().await, world.members().await, run());
    let key = shards(0..1);
    leases.acquire(one, &key, TTL).await.unwrap();
    world.pass(TTL).await;
    assert_eq!(members.heartbeat(one, &status("one"), &key, TTL).await.unwrap().kept, [false]);
    assert_eq!(leases.acquire(run(), &key, TTL).await.unwrap(), [true]);
}

pub async fn four_thousand_leases_are_renewed_at_once(world: &dyn MembersWorld) {
    let (leases, members, one) = (world.leases().await, world.members().await, run());
    let keys = shards(0..4_096);
    for some in keys.chunks(1_024) {
        leases.acquire(one, some, TTL).await.unwrap();
    }
    let foreign = [LeaseKey::Name(9)];
    let pulse = members.heartbeat(one, &status("one"), &[&keys[..], &foreign].concat(), TTL).await.unwrap();
    assert_eq!(pulse.kept.len(), 4_097);
    assert_eq!(pulse.kept.iter().position(|kept| !kept), Some(4_096));
}

pub async fn a_member_that_leaves_is_gone_and_the_others_are_not(world: &dyn MembersWorld) {
    let (leases, members, one, other) = (world.leases().await, world.members().await, run(), run());
    leases.acquire(one, &shards(0..1), TTL).await.unwrap();
    members.heartbeat(one, &status("one"), &[], TTL).await.unwrap();
    members.heartbeat(other, &status("other"), &[], TTL).await.unwrap();
    members.leave(one).await.unwrap();
    members.leave(one).await.unwrap();
    assert_eq!(runs(&members.members().await.unwrap()), [other]);
    let back = members.heartbeat(one, &status("one"), &shards(0..1), TTL).await.unwrap();
    assert_eq!((back.known, back.kept), (false, vec![true]), "leases are given back by themselves");
}

pub async fn who_beat_later_has_the_later_end(world: &dyn MembersWorld) {
    let (members, one, other) = (world.members().await, run(), run());
    members.heartbeat(other, &status("other"), &[], TTL).await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    let pulse = members.heartbeat(one, &status("one"), &[], TTL).await.unwrap();
    assert!(pulse.members[0].until > pulse.members[1].until, "{:?}", pulse.members);
}

pub async fn of_many_that_beat_at_once_nobody_is_lost_and_nobody_renews_anothers_lease(world: &dyn MembersWorld) {
    let (leases, members) = (world.leases().await, world.members().await);
    let keys = shards(0..64);
    let race = |racer: usize| {
        let (leases, members, mut keys) = (leases.clone(), members.clone(), keys.clone());
        // Each begins elsewhere and asks for a few at a time, so that they meet.
        keys.rotate_left(racer * 4);
        async move {
            let owner = run();
            let mut won = 0;
            for some in keys.chunks(8) {
                won += leases.acquire(owner, some, TTL).await.unwrap().iter().filter(|held| **held).count();
                let pulse = members.heartbeat(owner, &status("racer"), &keys, TTL).await.unwrap();
                assert_eq!(pulse.kept.iter().filter(|kept| **kept).count(), won);
            }
            (owner, won)
        }
    };
    let racers: Vec<_> = (0..16).map(|racer| tokio::spawn(race(racer))).collect();
    let (mut owners, mut won) = (Vec::new(), 0);
    for racer in racers {
        let (owner, held) = racer.await.unwrap();
        owners.push(owner);
        won += held;
    }
    owners.sort_unstable();
    assert_eq!(won, keys.len(), "each lease has one owner");
    assert_eq!(runs(&members.members().await.unwrap()), owners);
}

pub async fn nobody_joins_while_another_fleet_lives(world: &dyn MembersWorld) {
    let (leases, members, one, other) = (world.leases().await, world.members().await, run(), run());
    let of = |fleet: &str| Status { fleet: FleetId(fleet.into()), ..status("worker") };
    let key = shards(0..1);
    members.heartbeat(one, &of("first"), &[], TTL).await.unwrap();
    leases.acquire(other, &key, TTL).await.unwrap();
    world.pass(Duration::from_secs(10)).await;
    let refused = members.heartbeat(other, &of("second"), &key, TTL).await;
    assert!(matches!(refused, Err(PortError::Lost(_))), "{refused:?}");
    assert_eq!(runs(&members.members().await.unwrap()), [one], "who came first stays");
    members.heartbeat(one, &of("first"), &[], TTL).await.unwrap();
    world.pass(Duration::from_secs(5)).await;
    assert_eq!(leases.acquire(run(), &key, TTL).await.unwrap(), [true], "nothing was renewed for a stranger");
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(runs(&members.heartbeat(other, &of("second"), &[], TTL).await.unwrap().members), [other]);
    let refused = members.heartbeat(one, &of("first"), &[], TTL).await;
    assert!(matches!(refused, Err(PortError::Lost(_))), "{refused:?}");
    assert!(members.heartbeat(run(), &of(""), &[], TTL).await.is_ok(), "of one that does not say, nothing is held");
}

pub async fn lost_members_are_forgotten(world: &dyn MembersWorld) {
    let (members, one) = (world.members().await, run());
    members.heartbeat(one, &status("one"), &[], TTL).await.unwrap();
    world.lose().await;
    assert!(members.members().await.unwrap().is_empty());
    assert!(!members.heartbeat(one, &status("one"), &[], TTL).await.unwrap().known);
}

pub async fn a_service_that_is_away_says_so(world: &dyn MembersWorld) {
    let (members, one) = (world.members().await, run());
    members.heartbeat(one, &status("one"), &[], TTL).await.unwrap();
    world.go_away().await;
    let unavailable = |error| matches!(error, PortError::Unavailable(_));
    assert!(members.heartbeat(one, &status("one"), &[], TTL).await.is_err_and(unavailable));
    assert!(members.members().await.is_err_and(unavailable));
    assert!(members.leave(one).await.is_err_and(unavailable));
}

pub async fn a_lost_answer_leaves_it_open(world: &dyn MembersWorld) {
    let (members, one) = (world.members().await, run());
    // Asked before, so that the service knows the script and the next question is the one that counts.
    members.heartbeat(run(), &status("other"), &[], TTL).await.unwrap();
    world.lose_next_answer().await;
    let error = members.heartbeat(one, &status("one"), &[], TTL).await.unwrap_err();
    assert!(matches!(error, PortError::Unknown(_)), "{error:?}");
    world.mend().await;
    assert!(
        members.heartbeat(one, &status("one"), &[], TTL).await.unwrap().known,
        "it is a member, though it was not told"
    );
}
