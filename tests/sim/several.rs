//! A fleet of several workers: who comes, goes, dies, falls silent or is forgotten; what that costs, and that it is never
//! a mail.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use warmup::{
    domain::{
        id::{MailboxId, ShardId, WorkerId},
        shard::shard_of,
    },
    simulation::{Fault, FaultRates},
    worker::MembershipError,
};

use crate::{
    fleet::{Day, Life, Pace, SHARDS, Scenario, simulate},
    link::{Service, State},
    one_day::assert_true_numbers,
    trouble::Outage,
};

const MAILBOXES: i64 = 48;

/// Lease TTL and two heartbeats, by default.
const HEALED_WITHIN: i64 = 25;

/// A hand-over's: a mail's time, its settlement's, and a moment to ask again.
const HANDED_OVER_WITHIN: i64 = 10;

/// A fleet has shared its shards by then: two heartbeats of patience, and one to hear of each other.
const SETTLED: i64 = 20;

fn busy(seconds: i64, workers: Vec<Life>) -> Scenario {
    Scenario {
        seed: 1,
        mailboxes: MAILBOXES,
        quota: 3_000,
        weather: FaultRates::default(),
        pace: Pace::Busy(seconds),
        workers,
        outages: Vec::new(),
        orders: Vec::new(),
    }
}

fn three() -> Vec<Life> {
    vec![Life::of("a", 0), Life::of("b", 1), Life::of("c", 2)]
}

fn with(mut workers: Vec<Life>, more: Life) -> Vec<Life> {
    workers.push(more);
    workers
}

/// The longest time between `from` and `to` in which a shard sent nothing, in seconds, and whose that was.
fn longest_pause(day: &Day, from: i64, to: i64) -> (i64, ShardId) {
    let at = |second| day.begins + TimeDelta::seconds(second);
    let pause = |shard: ShardId| {
        let sends = day.reserved.iter().filter(|(_, of, _)| *of == shard).map(|(when, ..)| *when);
        let within = sends.filter(|when| (at(from)..at(to)).contains(when));
        let marks: Vec<_> = [at(from)].into_iter().chain(within).chain([at(to)]).collect();
        let longest = marks.windows(2).map(|pair| (pair[1] - pair[0]).num_milliseconds()).max();
        ((longest.unwrap() + 999) / 1_000, shard)
    };
    with_somebody_free(day).into_iter().map(pause).max().unwrap()
}

/// The shards that have a mailbox of which nothing waits for a sweep at the end: the others can't send before it.
fn with_somebody_free(day: &Day) -> BTreeSet<ShardId> {
    let free = (1..=MAILBOXES).map(MailboxId).filter(|id| !day.in_flight.values().any(|waits| waits == id));
    free.map(|id| shard_of(id, SHARDS)).collect()
}

fn uncertain(day: &Day) -> usize {
    day.logs.iter().filter(|(_, row)| row.reason.as_deref() == Some("uncertain")).count()
}

/// A hand-over costs no mail.
fn assert_all_sent(day: &Day) {
    assert!(!day.logs.is_empty() && day.logs.iter().all(|(_, row)| row.status == "SENT"), "{:?}", day.logs);
}

/// Who sent anything between two seconds.
fn senders(day: &Day, from: i64, to: i64) -> BTreeSet<WorkerId> {
    let at = |second| day.begins + TimeDelta::seconds(second);
    let within = day.reserved.iter().filter(|(when, ..)| (at(from)..at(to)).contains(when));
    within.map(|(.., worker)| worker.clone()).collect()
}

#[test]
fn workers_that_start_together_share_before_anybody_takes_all() {
    let day = simulate(&busy(60, three()));
    assert_true_numbers(&day);
    assert_eq!(day.seconds[SETTLED as usize].counts(), [5, 5, 6]);
    assert_eq!(day.seconds.last().unwrap().acquired, i64::from(SHARDS), "no shard had two owners");
    assert!(longest_pause(&day, SETTLED, 60).0 <= HANDED_OVER_WITHIN);
}

#[test]
fn a_worker_that_joins_is_given_the_least_that_makes_it_even_and_nothing_pauses() {
    let day = simulate(&busy(100, with(three(), Life::of("d", 40))));
    assert_true_numbers(&day);
    assert_eq!((day.seconds[39].counts(), day.seconds[70].counts()), (vec![5, 5, 6], vec![4; 4]));
    assert_eq!(day.seconds[99].acquired - day.seconds[39].acquired, 4, "only its own share has moved");
    assert!(longest_pause(&day, SETTLED, 100).0 <= HANDED_OVER_WITHIN, "{:?}", longest_pause(&day, SETTLED, 100));
    assert_all_sent(&day);
}

#[test]
fn a_worker_that_leaves_hands_its_shards_over_without_a_pause() {
    let day = simulate(&busy(100, with(three(), Life::of("d", 0).stops(50))));
    assert_true_numbers(&day);
    assert_eq!((day.seconds[49].counts(), day.seconds[70].counts()), (vec![4; 4], vec![5, 5, 6]));
    assert_eq!(day.seconds[99].acquired - day.seconds[49].acquired, 4, "nobody else's has moved");
    assert!(longest_pause(&day, SETTLED, 100).0 <= HANDED_OVER_WITHIN, "{:?}", longest_pause(&day, SETTLED, 100));
    assert_eq!(day.ends[3], Some(Ok(Default::default())));
    assert_all_sent(&day);
}

#[test]
fn a_rolling_restart_loses_and_doubles_nothing() {
    let mut workers = Vec::new();
    for (n, name) in (0..).zip(["a", "b", "c"]) {
        workers.push(Life::of(name, n).stops(40 + 30 * n));
        workers.push(Life::of(name, 45 + 30 * n));
    }
    let day = simulate(&busy(150, workers));
    assert_true_numbers(&day);
    assert_eq!(day.seconds[149].counts(), [5, 5, 6]);
    assert!(longest_pause(&day, SETTLED, 150).0 <= HANDED_OVER_WITHIN, "{:?}", longest_pause(&day, SETTLED, 150));
    assert_all_sent(&day);
}

#[test]
fn a_killed_worker_s_shards_send_again_within_25_seconds() {
    let mut left = 0;
    for killed in 50..53 {
        let day = simulate(&busy(120, with(three(), Life::of("d", 0).killed(killed))));
        assert_true_numbers(&day);
        assert_eq!(day.seconds[(killed + HEALED_WITHIN) as usize].counts(), [5, 5, 6]);
        assert!(longest_pause(&day, SETTLED, 120).0 <= HEALED_WITHIN, "{:?}", longest_pause(&day, SETTLED, 120));
        let in_flight = day.in_flight.len();
        assert!(in_flight <= 20, "what it had on its lanes waits for a sweep: {in_flight}");
        left += in_flight;
    }
    assert!(left > 0, "no mail was on its way when its worker died");
}

#[test]
fn a_worker_that_is_started_again_after_its_death_waits_for_its_name_and_is_another_member() {
    let workers = with(three(), Life::of("d", 0).killed(50));
    let day = simulate(&busy(130, with(workers, Life::of("d", 52))));
    assert_true_numbers(&day);
    assert_eq!(day.seconds[110].counts(), [4; 4]);
    assert_eq!(day.ends[4], Some(Ok(Default::default())));
}

/// Its leases are still there, for a minute and more.
#[test]
fn a_worker_that_is_alone_and_was_killed_is_replaced_at_once_when_its_time_is_over() {
    let again = Life { begins: 70, ..Life::alone() };
    let day = simulate(&busy(100, vec![Life::alone().killed(50), again]));
    assert_true_numbers(&day);
    assert_eq!((day.seconds[69].counts(), day.seconds[72].counts()), (vec![], vec![usize::from(SHARDS)]));
}

#[test]
fn a_second_worker_with_a_living_one_s_name_is_refused() {
    let day = simulate(&busy(80, with(three(), Life::of("b", 30))));
    assert_true_numbers(&day);
    assert_eq!(day.ends[3], Some(Err(MembershipError::NameTaken(WorkerId("b".into())))));
    assert_eq!(day.seconds[79].counts(), [5, 5, 6]);
}

#[test]
fn who_works_alone_and_who_shares_do_not_go_together() {
    let day = simulate(&busy(60, vec![Life::alone(), Life { begins: 10, ..Life::of("a", 0) }]));
    assert_true_numbers(&day);
    assert_eq!(day.ends[1], Some(Err(MembershipError::WorksAlone(WorkerId("simulated".into())))));
    let day = simulate(&busy(60, vec![Life::of("a", 0), Life { begins: 10, ..Life::alone() }]));
    assert_true_numbers(&day);
    assert_eq!(day.ends[1], Some(Err(MembershipError::AnotherWorker)));
}

#[test]
fn a_worker_that_counts_other_shards_is_refused() {
    let day = simulate(&busy(60, with(three(), Life { shards: 8, ..Life::of("d", 25) })));
    assert_true_numbers(&day);
    let refused = |end: &Option<Result<_, _>>| {
        matches!(end, Some(Err(MembershipError::OtherShards { theirs: SHARDS, ours: 8, .. })))
    };
    assert!(refused(&day.ends[3]), "{:?}", day.ends);
    assert_eq!(day.seconds[59].counts(), [5, 5, 6]);
}

#[test]
fn a_worker_whose_clock_is_an_hour_off_takes_no_shard_and_none_waits_for_it() {
    let day = simulate(&busy(60, with(three(), Life { clock_ahead: Some(3_600), ..Life::of("d", 0) })));
    assert_true_numbers(&day);
    assert_eq!(day.seconds[SETTLED as usize].counts(), [5, 5, 6]);
    assert!(!senders(&day, 0, 60).contains(&WorkerId("d".into())));
    assert!(longest_pause(&day, SETTLED, 60).0 <= HANDED_OVER_WITHIN);
    let day = simulate(&busy(60, with(three(), Life { clock_ahead: Some(5), ..Life::of("d", 0) })));
    assert_eq!(day.seconds[SETTLED as usize].counts(), [4; 4], "a little is nothing");
}

#[test]
fn an_owner_whose_epoch_was_passed_while_its_lease_holds_raises_it_again() {
    let day = simulate(&Scenario { outages: vec![(Outage::EpochsPass, 40, 40)], ..busy(80, three()) });
    assert_true_numbers(&day);
    assert_eq!(day.seconds[39].owners, day.seconds[79].owners);
    assert_eq!(day.seconds[79].acquired - day.seconds[39].acquired, 2 * i64::from(SHARDS));
    assert!(longest_pause(&day, SETTLED, 80).0 <= HANDED_OVER_WITHIN, "{:?}", longest_pause(&day, SETTLED, 80));
}

#[test]
fn a_worker_whose_leases_ran_out_under_it_sends_nothing_with_them_when_it_goes_on() {
    let day = simulate(&busy(150, with(three(), Life::of("d", 0).suffers(State::Frozen, 50, 80))));
    assert_true_numbers(&day);
    assert_eq!(day.seconds[50 + HEALED_WITHIN as usize].counts(), [5, 5, 6]);
    assert!(longest_pause(&day, SETTLED, 150).0 <= HEALED_WITHIN, "{:?}", longest_pause(&day, SETTLED, 150));
    let d = WorkerId("d".into());
    assert!(!senders(&day, 50, 85).contains(&d), "it must first be a member for a while again");
    assert!(senders(&day, 105, 150).contains(&d));
    assert_eq!(day.seconds[120].counts(), [4; 4]);
}

#[test]
fn a_worker_without_redis_or_without_postgres_starves_no_shard() {
    for service in [Service::Redis, Service::Postgres] {
        let day = simulate(&busy(150, with(three(), Life::of("d", 0).suffers(State::Cut(service), 50, 90))));
        assert_true_numbers(&day);
        assert_eq!(day.seconds[70].counts().len(), 3, "{service:?}: it holds no shard after 20 s");
        assert!(longest_pause(&day, SETTLED, 150).0 <= HEALED_WITHIN, "{:?}", longest_pause(&day, SETTLED, 150));
        assert_eq!(day.seconds[130].counts(), [4; 4], "{service:?}: it is back");
        assert_eq!(uncertain(&day), 0, "{service:?}");
    }
}

#[test]
fn a_redis_that_forgets_everything_moves_nothing() {
    let scenario = Scenario { outages: vec![(Outage::RedisForgets, 50, 50)], ..busy(100, three()) };
    let day = simulate(&scenario);
    assert_true_numbers(&day);
    assert_eq!(day.seconds[49].owners, day.seconds[99].owners);
    assert_eq!(day.seconds[99].acquired - day.seconds[49].acquired, i64::from(SHARDS), "each was taken anew, once");
    assert!(longest_pause(&day, SETTLED, 100).0 <= HEALED_WITHIN, "{:?}", longest_pause(&day, SETTLED, 100));
}

#[test]
fn after_an_outage_every_shard_sends_again_within_25_seconds() {
    for away in [
        vec![(Outage::Leases(Fault::Unavailable), 50, 80), (Outage::Caps(Fault::Unavailable), 50, 80)],
        vec![(Outage::Ledger(Fault::Unavailable), 50, 80)],
        vec![(Outage::Ledger(Fault::AnswerLost), 50, 80)],
        vec![(Outage::Leases(Fault::AnswerLost), 50, 80)],
    ] {
        let day = simulate(&Scenario { outages: away.clone(), ..busy(130, three()) });
        assert_true_numbers(&day);
        assert!(longest_pause(&day, 80, 130).0 <= HEALED_WITHIN, "{away:?}: {:?}", longest_pause(&day, 80, 130));
        assert_eq!(day.seconds[129].counts(), [5, 5, 6], "{away:?}");
    }
}

#[test]
fn workers_that_find_strangers_in_their_place_start_nothing_until_they_are_alone() {
    let day = simulate(&Scenario { outages: vec![(Outage::Strangers, 50, 80)], ..busy(130, three()) });
    assert_true_numbers(&day);
    assert_eq!(senders(&day, 56, 80), BTreeSet::new(), "their leases would be trusted for up to 15 s");
    assert!(longest_pause(&day, 80, 130).0 <= HEALED_WITHIN, "{:?}", longest_pause(&day, 80, 130));
    assert_eq!(day.seconds[129].counts(), [5, 5, 6]);
}

/// Their attempts may have been counted, so they are thrown away: without a tick of its own, a shard whose mails are all
/// gone so would be silent for a quarter of an hour.
#[test]
fn after_lost_answers_to_reserves_every_shard_is_planned_anew() {
    let day = simulate(&Scenario { outages: vec![(Outage::Reserves, 50, 70)], ..busy(120, three()) });
    assert_true_numbers(&day);
    assert_eq!(day.seconds[49].owners, day.seconds[119].owners);
    assert!(longest_pause(&day, 70, 120).0 <= HEALED_WITHIN, "{:?}", longest_pause(&day, 70, 120));
}

/// A day with everything at once, each seed in its own order.
fn storm(seed: u64) -> Scenario {
    let hour = |hour: i64| hour * 3_600 + (seed as i64 * 137) % 900;
    Scenario {
        seed,
        quota: 30,
        pace: Pace::Day,
        weather: FaultRates { refused: 4, broken_before: 3, broken_after: 2, vanished: 1 },
        workers: vec![
            Life::of("a", 0).suffers(State::Cut(Service::Postgres), hour(1), hour(1) + 60),
            Life::of("b", 3).killed(hour(2)),
            Life::of("b", hour(2) + 30).suffers(State::Frozen, hour(5), hour(5) + 20),
            Life::of("c", 5).stops(hour(3)),
            Life::of("d", hour(4)).suffers(State::Cut(Service::Redis), hour(6), hour(6) + 40),
        ],
        outages: vec![
            (Outage::RedisForgets, hour(3) + 600, hour(3) + 600),
            (Outage::Ledger(Fault::AnswerLost), hour(4) + 300, hour(4) + 360),
            (Outage::Leases(Fault::Unavailable), hour(5) + 600, hour(5) + 720),
        ],
        ..busy(0, Vec::new())
    }
}

#[test]
fn a_stormy_day_of_a_fleet_serves_everybody_and_every_number_is_true() {
    for seed in 1..=2 {
        let day = simulate(&storm(seed));
        assert_true_numbers(&day);
        assert!(day.days.iter().all(|(_, row)| row.reserved == 30), "seed {seed}: {:?}", day.days);
        let sent = day.reserved.iter().map(|(.., worker)| worker.clone());
        let by_worker = sent.fold(BTreeMap::new(), |mut counts: BTreeMap<WorkerId, usize>, worker| {
            *counts.entry(worker).or_default() += 1;
            counts
        });
        assert_eq!(by_worker.len(), 4, "seed {seed}: {by_worker:?}");
    }
}

#[test]
fn a_seed_of_a_fleet_replays_exactly() {
    let (one, other) = (simulate(&storm(2)), simulate(&storm(2)));
    assert_eq!((&one.logs, &one.reserved, one.statements), (&other.logs, &other.reserved, other.statements));
    assert_ne!(one.logs, simulate(&storm(3)).logs);
}
