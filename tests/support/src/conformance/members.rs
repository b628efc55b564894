//! These are the conformance cases of the `MembershipStore` port.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use uuid::Uuid;
use warmup::{
    domain::{
        id::{FleetId, RunId, ShardId, WorkerId},
        lease_rotation::lease_length,
        ledger_mark::{LedgerMark, SettledMail},
    },
    ports::{HeartbeatReply, LeaseKey, Member, MemberStatus, MembershipStore, PortError},
};

use super::leases::LeasesWorld;

/// The leases and members of one service: at first all leases are free and there is no member.
#[async_trait]
pub trait MembersWorld: LeasesWorld {
    /// Returns the world's members.
    async fn members(&self) -> Arc<dyn MembershipStore>;
}

/// Expands to a test of each case, in its own module.
#[macro_export]
macro_rules! members_conformance {
    ($world:path) => {
        $crate::conformance_cases!(
            $crate::conformance::members, $world,
            a_heartbeat_makes_a_member_and_tells_all_of_all
            a_member_lives_as_long_as_it_beats
            who_was_gone_is_told_so
            a_heartbeat_extends_its_seat_and_the_leases_that_are_due_and_no_others
            a_lease_that_ran_out_is_not_taken_again_by_a_heartbeat
            whose_time_was_over_keeps_none_of_its_leases
            four_thousand_leases_are_renewed_at_once
            a_lease_that_outlives_its_owner_s_time_is_anybody_s
            a_lease_of_a_member_is_claimed_by_nobody_else
            who_claims_what_is_its_own_or_free_has_it_for_a_ttl
            of_many_that_claim_the_leases_of_a_dead_one_each_lease_has_one
            a_member_that_leaves_is_gone_and_the_others_are_not
            who_beat_later_has_the_later_end
            of_many_that_beat_at_once_nobody_is_lost_and_nobody_renews_anothers_lease
            nobody_joins_while_another_fleet_lives
            lost_members_are_forgotten
            a_mark_is_merged_with_the_one_that_is_kept
            a_mark_of_another_database_is_replaced
            a_fence_replaces_the_marks_from_before_it
            a_service_that_is_away_says_so
            a_lost_answer_leaves_it_open
        );
    };
}

const TTL: Duration = Duration::from_secs(15);

fn run() -> RunId {
    RunId(Uuid::now_v7())
}

const SEAT: LeaseKey = LeaseKey::Name(7);

fn shards(range: std::ops::Range<i32>) -> Vec<ShardId> {
    range.map(ShardId).collect()
}

/// Sends a heartbeat of a worker that never took its exclusive lease.
async fn beat(members: &dyn MembershipStore, run: RunId, id: &str, due: &[ShardId]) -> HeartbeatReply {
    members.heartbeat(run, &status(id), SEAT, due, TTL).await.unwrap()
}

fn status(id: &str) -> MemberStatus {
    let held = [ShardId(3), ShardId(4_095)].into_iter().collect();
    MemberStatus { id: WorkerId(id.into()), held, queue_size: 7, state: "running".into(), ..MemberStatus::default() }
}

fn runs(members: &[Member]) -> Vec<RunId> {
    members.iter().map(|member| member.run).collect()
}

pub async fn a_heartbeat_makes_a_member_and_tells_all_of_all(world: &dyn MembersWorld) {
    let (members, one, other) = (world.members().await, run(), run());
    assert!(members.members().await.unwrap().is_empty());
    let first = beat(&*members, one, "one", &[]).await;
    assert_eq!((first.was_member, first.still_held, runs(&first.members)), (false, vec![], vec![one]));
    let second = beat(&*members, other, "other", &[]).await;
    assert_eq!(runs(&second.members), [one, other], "ordered by run");
    let told: Vec<&MemberStatus> = second.members.iter().map(|member| &member.status).collect();
    assert_eq!(told, [&status("one"), &status("other")]);
    let changed = MemberStatus { queue_size: 8, ..status("one") };
    let third = members.heartbeat(one, &changed, SEAT, &[], TTL).await.unwrap();
    assert!(third.was_member);
    assert_eq!(third.members[0].status, changed);
    assert_eq!(members.members().await.unwrap(), third.members);
}

pub async fn a_member_lives_as_long_as_it_beats(world: &dyn MembersWorld) {
    let (members, one, other) = (world.members().await, run(), run());
    beat(&*members, other, "other", &[]).await;
    for _ in 0..3 {
        beat(&*members, one, "one", &[]).await;
        world.pass(Duration::from_secs(10)).await;
    }
    assert_eq!(runs(&members.members().await.unwrap()), [one]);
    world.pass(Duration::from_secs(5)).await;
    assert!(members.members().await.unwrap().is_empty());
}

pub async fn who_was_gone_is_told_so(world: &dyn MembersWorld) {
    let (members, one, other) = (world.members().await, run(), run());
    for known in [false, true] {
        assert_eq!(beat(&*members, one, "one", &[]).await.was_member, known);
    }
    world.pass(Duration::from_secs(10)).await;
    beat(&*members, other, "other", &[]).await;
    world.pass(Duration::from_secs(5)).await;
    assert!(!beat(&*members, one, "one", &[]).await.was_member);
}

pub async fn a_heartbeat_extends_its_seat_and_the_leases_that_are_due_and_no_others(world: &dyn MembersWorld) {
    let (leases, members, one, other) = (world.leases().await, world.members().await, run(), run());
    let all = shards(0..4);
    leases.acquire(one, &[SEAT], TTL).await.unwrap();
    assert!(beat(&*members, one, "one", &[]).await.has_exclusive_lease);
    assert!(!beat(&*members, other, "other", &[]).await.has_exclusive_lease, "it is another's");
    members.claim(one, &all[..2], TTL).await.unwrap();
    members.claim(other, &all[2..3], TTL).await.unwrap();
    world.pass(TTL - Duration::from_secs(5)).await;
    let due = [&all[..1], &all[2..]].concat();
    let pulse = beat(&*members, one, "one", &due).await;
    assert_eq!((pulse.was_member, pulse.has_exclusive_lease, pulse.still_held), (true, true, vec![true, false, false]));
    world.pass(Duration::from_secs(5)).await;
    let free = members.claim(run(), &all, TTL).await.unwrap();
    assert_eq!(free, [false, true, true, true], "what was not due, or another's, was not extended");
    assert_eq!(leases.acquire(other, &[SEAT], TTL).await.unwrap(), [false]);
    world.pass(TTL - Duration::from_secs(5)).await;
    assert_eq!(leases.acquire(other, &[SEAT], TTL).await.unwrap(), [true], "it ended with the membership");
    assert_eq!(leases.renew(one, &[LeaseKey::Shard(all[0])], TTL).await.unwrap(), [true], "it is there still");
    world.pass(lease_length(TTL)).await;
    assert_eq!(leases.renew(one, &[LeaseKey::Shard(all[0])], TTL).await.unwrap(), [false]);
}

pub async fn a_lease_that_ran_out_is_not_taken_again_by_a_heartbeat(world: &dyn MembersWorld) {
    let (members, one) = (world.members().await, run());
    let shard = shards(0..1);
    beat(&*members, one, "one", &[]).await;
    members.claim(one, &shard, TTL).await.unwrap();
    world.pass(TTL - Duration::from_secs(5)).await;
    beat(&*members, one, "one", &[]).await;
    world.pass(Duration::from_secs(5)).await;
    let pulse = beat(&*members, one, "one", &shard).await;
    assert_eq!((pulse.was_member, pulse.still_held), (true, vec![false]));
    assert_eq!(members.claim(run(), &shard, TTL).await.unwrap(), [true]);
}

pub async fn whose_time_was_over_keeps_none_of_its_leases(world: &dyn MembersWorld) {
    let (leases, members, one) = (world.leases().await, world.members().await, run());
    let shard = shards(0..1);
    beat(&*members, one, "one", &[]).await;
    members.claim(one, &shard, TTL).await.unwrap();
    assert_eq!(beat(&*members, one, "one", &shard).await.still_held, [true]);
    world.pass(TTL).await;
    leases.acquire(one, &[SEAT], TTL).await.unwrap();
    let pulse = beat(&*members, one, "one", &shard).await;
    assert_eq!((pulse.was_member, pulse.has_exclusive_lease, pulse.still_held), (false, true, vec![false]));
    world.pass(lease_length(TTL) - TTL).await;
    let key = [LeaseKey::Shard(shard[0])];
    assert_eq!(leases.renew(one, &key, TTL).await.unwrap(), [false], "it was not extended either");
}

pub async fn four_thousand_leases_are_renewed_at_once(world: &dyn MembersWorld) {
    let (members, one) = (world.members().await, run());
    let all = shards(0..4_097);
    beat(&*members, one, "one", &[]).await;
    for some in all[..4_096].chunks(1_024) {
        members.claim(one, some, TTL).await.unwrap();
    }
    let pulse = beat(&*members, one, "one", &all).await;
    assert_eq!(pulse.still_held.len(), 4_097);
    assert_eq!(pulse.still_held.iter().position(|kept| !kept), Some(4_096));
}

/// Makes `owner` hold `shards` with extended leases, as a worker does.
async fn hold(members: &dyn MembershipStore, owner: RunId, shards: &[ShardId]) {
    beat(members, owner, "owner", &[]).await;
    members.claim(owner, shards, TTL).await.unwrap();
    assert!(beat(members, owner, "owner", shards).await.still_held.iter().all(|kept| *kept));
}

pub async fn a_lease_that_outlives_its_owner_s_time_is_anybody_s(world: &dyn MembersWorld) {
    let (leases, members, dead, left, other) = (world.leases().await, world.members().await, run(), run(), run());
    let (killed, gone, keys) = (shards(0..2), shards(2..3), [0, 1, 2].map(|shard| LeaseKey::Shard(ShardId(shard))));
    hold(&*members, dead, &killed).await;
    hold(&*members, left, &gone).await;
    members.leave(left).await.unwrap();
    world.pass(TTL - Duration::from_secs(5)).await;
    beat(&*members, other, "other", &[]).await;
    world.pass(Duration::from_secs(5)).await;
    assert_eq!(leases.acquire(other, &keys, TTL).await.unwrap(), [false; 3], "the leases are there still");
    assert_eq!(members.claim(other, &shards(0..3), TTL).await.unwrap(), [true; 3]);
    assert_eq!(leases.renew(dead, &keys, TTL).await.unwrap(), [false; 3]);
    assert_eq!(leases.renew(other, &keys, TTL).await.unwrap(), [true; 3]);
}

pub async fn a_lease_of_a_member_is_claimed_by_nobody_else(world: &dyn MembersWorld) {
    let (leases, members, one, other) = (world.leases().await, world.members().await, run(), run());
    let shard = shards(0..1);
    hold(&*members, one, &shard).await;
    for _ in 0..2 {
        world.pass(TTL - Duration::from_secs(5)).await;
        assert_eq!(members.claim(other, &shard, TTL).await.unwrap(), [false]);
        beat(&*members, one, "one", &[]).await;
    }
    let key = [LeaseKey::Shard(shard[0])];
    assert_eq!(leases.renew(one, &key, lease_length(TTL)).await.unwrap(), [true], "it is as it was");
    world.pass(TTL).await;
    beat(&*members, one, "one", &[]).await;
    assert_eq!(members.claim(other, &shard, TTL).await.unwrap(), [false], "it woke up before anybody asked");
}

pub async fn who_claims_what_is_its_own_or_free_has_it_for_a_ttl(world: &dyn MembersWorld) {
    let (leases, members, one) = (world.leases().await, world.members().await, run());
    let (all, keys) = (shards(0..2), [LeaseKey::Shard(ShardId(0)), LeaseKey::Shard(ShardId(1))]);
    hold(&*members, one, &all[..1]).await;
    assert_eq!(members.claim(one, &all, TTL).await.unwrap(), [true; 2]);
    world.pass(TTL).await;
    assert_eq!(leases.renew(one, &keys, TTL).await.unwrap(), [false; 2]);
    assert!(members.claim(one, &[], TTL).await.unwrap().is_empty());
}

pub async fn of_many_that_claim_the_leases_of_a_dead_one_each_lease_has_one(world: &dyn MembersWorld) {
    let members = world.members().await;
    let all = shards(0..64);
    hold(&*members, run(), &all).await;
    world.pass(TTL).await;
    let race = |racer: usize| {
        let (members, mut all) = (members.clone(), all.clone());
        all.rotate_left(racer * 4);
        async move {
            let (owner, mut won) = (run(), 0);
            beat(&*members, owner, "racer", &[]).await;
            for some in all.chunks(8) {
                won += members.claim(owner, some, TTL).await.unwrap().iter().filter(|held| **held).count();
            }
            won
        }
    };
    let racers: Vec<_> = (0..16).map(|racer| tokio::spawn(race(racer))).collect();
    let mut won = 0;
    for racer in racers {
        won += racer.await.unwrap();
    }
    assert_eq!(won, all.len());
}

pub async fn a_member_that_leaves_is_gone_and_the_others_are_not(world: &dyn MembersWorld) {
    let (leases, members, one, other) = (world.leases().await, world.members().await, run(), run());
    leases.acquire(one, &[SEAT], TTL).await.unwrap();
    beat(&*members, one, "one", &[]).await;
    beat(&*members, other, "other", &[]).await;
    members.leave(one).await.unwrap();
    members.leave(one).await.unwrap();
    assert_eq!(runs(&members.members().await.unwrap()), [other]);
    let back = beat(&*members, one, "one", &[]).await;
    assert_eq!((back.was_member, back.has_exclusive_lease), (false, true), "leases are given back by themselves");
}

pub async fn who_beat_later_has_the_later_end(world: &dyn MembersWorld) {
    let (members, one, other) = (world.members().await, run(), run());
    beat(&*members, other, "other", &[]).await;
    world.pass(Duration::from_secs(1)).await;
    let pulse = beat(&*members, one, "one", &[]).await;
    assert!(pulse.members[0].until > pulse.members[1].until, "{:?}", pulse.members);
}

pub async fn of_many_that_beat_at_once_nobody_is_lost_and_nobody_renews_anothers_lease(world: &dyn MembersWorld) {
    let members = world.members().await;
    let all = shards(0..64);
    let race = |racer: usize| {
        let (members, mut all) = (members.clone(), all.clone());
        // Each racer begins at another place and requests a few at a time, so that they collide.
        all.rotate_left(racer * 4);
        async move {
            let owner = run();
            let mut won = 0;
            beat(&*members, owner, "racer", &[]).await;
            for some in all.chunks(8) {
                won += members.claim(owner, some, TTL).await.unwrap().iter().filter(|held| **held).count();
                let pulse = beat(&*members, owner, "racer", &all).await;
                assert_eq!(pulse.still_held.iter().filter(|kept| **kept).count(), won);
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
    assert_eq!(won, all.len(), "each lease has one owner");
    assert_eq!(runs(&members.members().await.unwrap()), owners);
}

pub async fn nobody_joins_while_another_fleet_lives(world: &dyn MembersWorld) {
    let (leases, members, one, other) = (world.leases().await, world.members().await, run(), run());
    let of = |fleet: &str| MemberStatus { fleet: FleetId(fleet.into()), ..status("worker") };
    members.heartbeat(one, &of("first"), LeaseKey::Solo, &[], TTL).await.unwrap();
    leases.acquire(other, &[SEAT], TTL).await.unwrap();
    world.pass(Duration::from_secs(10)).await;
    let refused = members.heartbeat(other, &of("second"), SEAT, &[], TTL).await;
    assert!(matches!(refused, Err(PortError::Lost(_))), "{refused:?}");
    assert_eq!(runs(&members.members().await.unwrap()), [one], "who came first stays");
    members.heartbeat(one, &of("first"), SEAT, &[], TTL).await.unwrap();
    world.pass(Duration::from_secs(5)).await;
    assert_eq!(leases.acquire(run(), &[SEAT], TTL).await.unwrap(), [true], "nothing was renewed for a stranger");
    world.pass(Duration::from_secs(10)).await;
    assert_eq!(runs(&members.heartbeat(other, &of("second"), SEAT, &[], TTL).await.unwrap().members), [other]);
    let refused = members.heartbeat(one, &of("first"), SEAT, &[], TTL).await;
    assert!(matches!(refused, Err(PortError::Lost(_))), "{refused:?}");
    assert!(
        members.heartbeat(run(), &of(""), SEAT, &[], TTL).await.is_ok(),
        "of one that does not say, nothing is held"
    );
}

pub async fn lost_members_are_forgotten(world: &dyn MembersWorld) {
    let (members, one) = (world.members().await, run());
    beat(&*members, one, "one", &[]).await;
    world.lose().await;
    assert!(members.members().await.unwrap().is_empty());
    assert!(!beat(&*members, one, "one", &[]).await.was_member);
}

pub async fn a_service_that_is_away_says_so(world: &dyn MembersWorld) {
    let (members, one) = (world.members().await, run());
    beat(&*members, one, "one", &[]).await;
    world.go_away().await;
    let unavailable = |error| matches!(error, PortError::Unavailable(_));
    assert!(members.heartbeat(one, &status("one"), SEAT, &[], TTL).await.is_err_and(unavailable));
    assert!(members.claim(one, &shards(0..1), TTL).await.is_err_and(unavailable));
    assert!(members.members().await.is_err_and(unavailable));
    assert!(members.leave(one).await.is_err_and(unavailable));
}

pub async fn a_lost_answer_leaves_it_open(world: &dyn MembersWorld) {
    let (members, one) = (world.members().await, run());
    // An earlier heartbeat loads the script, so that the next request is the one under test.
    beat(&*members, run(), "other", &[]).await;
    world.lose_next_answer().await;
    let error = members.heartbeat(one, &status("one"), SEAT, &[], TTL).await.unwrap_err();
    assert!(matches!(error, PortError::Unknown(_)), "{error:?}");
    world.mend().await;
    assert!(beat(&*members, one, "one", &[]).await.was_member, "it is a member, though it was not told");
}

fn mark(fence: i64, flight: i64, epochs: i64) -> LedgerMark {
    LedgerMark { fence, flight, shards: 16, epochs, settled: None }
}

pub async fn a_mark_is_merged_with_the_one_that_is_kept(world: &dyn MembersWorld) {
    let members = world.members().await;
    let nothing = LedgerMark::default();
    assert_eq!(members.merge_mark("one", &nothing).await.unwrap(), nothing);
    let settled = SettledMail { day: chrono::NaiveDate::default(), log_id: 7, message_id: "7@a.test".into() };
    let first = LedgerMark { settled: Some(settled.clone()), ..mark(0, 9_007_199_254_740_000, 20) };
    assert_eq!(members.merge_mark("one", &first).await.unwrap(), first);
    let merged = LedgerMark { settled: Some(settled), ..mark(0, 9_007_199_254_740_000, 21) };
    assert_eq!(members.merge_mark("one", &mark(0, 5, 21)).await.unwrap(), merged);
    assert_eq!(members.merge_mark("one", &nothing).await.unwrap(), merged, "who knows nothing learns it all");
}

pub async fn a_mark_of_another_database_is_replaced(world: &dyn MembersWorld) {
    let members = world.members().await;
    members.merge_mark("one", &mark(0, 10, 20)).await.unwrap();
    assert_eq!(members.merge_mark("other", &mark(0, 1, 2)).await.unwrap(), mark(0, 1, 2));
}

pub async fn a_fence_replaces_the_marks_from_before_it(world: &dyn MembersWorld) {
    let members = world.members().await;
    members.merge_mark("one", &mark(1, 10, 20)).await.unwrap();
    assert_eq!(members.merge_mark("one", &mark(2, 1, 2)).await.unwrap(), mark(2, 1, 2));
    assert_eq!(members.merge_mark("one", &mark(1, 50, 50)).await.unwrap(), mark(2, 1, 2));
}
