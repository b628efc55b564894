//! These cases check the effects of several outcomes: a host's breaker, a failing host, a sender's strikes.
//! No mailbox is penalised for a problem that affects all.

use std::time::Duration;

use chrono::TimeDelta;
use warmup::{
    domain::{
        outcome::{Effects, OutcomeKind, Penalty, Stage},
        probe::{ProbeCandidate, keep_one_each},
        ramp::Ramp,
        time::LocalDates,
    },
    ports::{Flight, Settlement},
};

use super::{LedgerWorld, Life, SHARD, ask, assert_true, end, enrol, minutes, noon};

/// The number of mailboxes; all write to the last one.
pub(super) const MAILBOXES: i64 = 13;
const HOST: &str = "mail.test";

pub(super) fn at(minute: i64, mut settlement: Settlement) -> Settlement {
    settlement.at = noon() + minutes(minute);
    settlement
}

fn answered(flight: &Flight, stage: Stage, reason: &'static str, effects: Effects) -> Settlement {
    let mut settlement = end(flight, OutcomeKind::Refused);
    (settlement.outcome.stage, settlement.outcome.reason) = (stage, reason);
    settlement.outcome.effects = effects;
    settlement
}

/// Returns a settlement like a 535.
pub(super) fn not_let_in(flight: &Flight) -> Settlement {
    let effects = Effects { sender: Some(Penalty::Disable), ..Effects::default() };
    answered(flight, Stage::Auth, "auth-refused", effects)
}

pub(super) fn failed(flight: &Flight) -> Settlement {
    let effects = Effects { host: Some(Penalty::Strike), ..Effects::default() };
    answered(flight, Stage::Connect, "host-unreachable", effects)
}

/// Returns a settlement like a timeout at `stage`, after answers at all earlier steps.
fn stalled(flight: &Flight, stage: Stage) -> Settlement {
    let effects = Effects { host: Some(Penalty::Stall), ..Effects::default() };
    let mut settlement = answered(flight, stage, "timeout", effects);
    settlement.outcome.reply = None;
    settlement
}

fn struck(flight: &Flight) -> Settlement {
    let effects = Effects { sender: Some(Penalty::Strike), ..Effects::default() };
    answered(flight, Stage::Dot, "policy-refused", effects)
}

fn too_much(flight: &Flight) -> Settlement {
    let ease = Penalty::PauseAndHalve(Duration::from_secs(3600));
    answered(flight, Stage::Dot, "sender-rate", Effects { sender: Some(ease), ..Effects::default() })
}

/// Starts a run in which mailboxes 1 to `flying` each have an in-flight mail.
async fn aloft(world: &dyn LedgerWorld, flying: i64) -> (Life<'_>, Vec<Flight>) {
    enrol(world, MAILBOXES, 5).await;
    let life = Life::begin(world).await;
    let mut flights = Vec::new();
    for mailbox in 1..=flying {
        flights.push(life.fly(ask(mailbox, 0, &[MAILBOXES])).await);
    }
    (life, flights)
}

pub(super) async fn stopped(world: &dyn LedgerWorld) -> Vec<i64> {
    let mut stopped = Vec::new();
    for mailbox in 1..=MAILBOXES {
        if world.standing(mailbox).await.sending == "stopped" {
            stopped.push(mailbox);
        }
    }
    stopped
}

/// Returns the reasons of the events of a kind.
pub(super) async fn told(world: &dyn LedgerWorld, kind: &str) -> Vec<String> {
    world.events().await.into_iter().filter(|(of, ..)| of == kind).map(|(.., reason)| reason).collect()
}

/// Returns the mailboxes that a plan would include `minute` minutes after noon.
pub(super) async fn candidates(world: &dyn LedgerWorld, minute: i64) -> Vec<i64> {
    let now = noon() + minutes(minute);
    let mut candidates = world.mailboxes().candidates(&[SHARD], &LocalDates::at(now), now).await.unwrap();
    keep_one_each(&mut candidates, now, |candidate| {
        let (mailbox, failed_in_row) = (candidate.id, candidate.failed_in_row);
        candidate.probe.as_ref().map(|probe| ProbeCandidate { mailbox, failed_in_row, probe })
    });
    candidates.iter().map(|candidate| candidate.id.0).collect()
}

pub async fn half_of_those_that_tried_open_the_breaker_and_nobody_more_is_disabled(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 8).await;
    let results: Vec<Settlement> = flights.iter().map(not_let_in).collect();
    assert_eq!(life.settle(&results).await, 8);
    assert_eq!(stopped(world).await, [1, 2, 3], "the fourth opens it");
    assert_eq!(told(world, "sender-disabled").await, ["auth-refused"; 3]);
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"]);
    assert_eq!(candidates(world, 59).await, [0; 0], "its host is left alone");
    for mailbox in [4, 8] {
        let standing = world.standing(mailbox).await;
        assert_eq!((standing.sending.as_str(), standing.sending_reason), ("active", None));
        assert_true(world, mailbox, 0).await;
    }
    let reasons: Vec<_> = world.logs().await.into_iter().map(|row| row.reason.unwrap_or_default()).collect();
    assert_eq!(reasons, ["auth-refused"; 8], "each attempt has its row");
}

pub async fn those_on_their_way_when_the_breaker_opens_are_not_disabled(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 9).await;
    for (minute, flight) in (0..).zip(&flights) {
        life.settle(&[at(minute, not_let_in(flight))]).await;
    }
    assert_eq!(stopped(world).await, [1, 2, 3, 4], "of nine that tried");
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"], "they do not lengthen it");
    assert_eq!(candidates(world, 4 + 59).await, [0; 0]);
    assert_eq!(candidates(world, 4 + 60).await.len(), 1);
}

pub async fn however_far_apart_they_are_refused_the_breaker_opens(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 8).await;
    for (n, flight) in (0..).zip(&flights[..4]) {
        life.settle(&[at(n * 15, not_let_in(flight))]).await;
    }
    assert_eq!(stopped(world).await, [1, 2, 3]);
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"]);
}

pub async fn who_is_refused_while_its_neighbours_are_let_in_stays_disabled(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 12).await;
    for (n, pair) in (0..).zip(flights.chunks(2)) {
        life.settle(&[at(n, not_let_in(&pair[0]))]).await;
        life.settle(&[at(n, end(&pair[1], OutcomeKind::Sent))]).await;
    }
    assert_eq!(stopped(world).await, [1, 3, 5, 7, 9, 11], "each for its own reason");
    assert_eq!(told(world, "host-paused").await, [""; 0]);
    assert_eq!(told(world, "sender-restored").await, [""; 0]);
}

pub async fn in_one_settle_a_refusal_before_one_that_is_let_in_is_its_own_matter(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 6).await;
    let mut results: Vec<Settlement> = (0..).zip(&flights[..4]).map(|(n, flight)| at(n, not_let_in(flight))).collect();
    results.push(at(4, end(&flights[4], OutcomeKind::Sent)));
    results.push(at(5, not_let_in(&flights[5])));
    life.settle(&results).await;
    assert_eq!(stopped(world).await, [1, 2, 3, 4, 6]);
    assert_eq!(told(world, "host-paused").await, [""; 0]);
}

pub async fn a_host_with_two_mailboxes_has_no_breaker_and_of_three_one_is_left(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 5).await;
    for mailbox in 1..=2 {
        world.set_host(mailbox, "small.test").await;
    }
    for mailbox in 3..=5 {
        world.set_host(mailbox, "three.test").await;
    }
    life.settle(&flights.iter().map(not_let_in).collect::<Vec<_>>()).await;
    assert_eq!(stopped(world).await, [1, 2, 3, 4]);
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"], "three.test");
}

pub async fn a_breaker_lets_one_mailbox_try_after_longer_and_longer_pauses_until_one_is_let_in(
    world: &dyn LedgerWorld,
) {
    let (life, flights) = aloft(world, 8).await;
    life.settle(&flights.iter().map(not_let_in).collect::<Vec<_>>()).await;
    let mut tried = candidates(world, 60).await;
    assert_eq!(tried.len(), 1);
    let attempts = world.day(tried[0], super::DAY).await.attempts as u16;
    let flight = life.fly_at(noon() + minutes(60), ask(tried[0], attempts, &[MAILBOXES - 1, 12, 11])).await;
    life.settle(&[at(60, not_let_in(&flight))]).await;
    assert_eq!(stopped(world).await, [1, 2, 3], "nobody more is disabled");
    assert_eq!(candidates(world, 60 + 4 * 60 - 1).await, [0; 0], "four hours");

    tried = candidates(world, 300).await;
    assert_eq!(tried.len(), 1);
    let attempts = world.day(tried[0], super::DAY).await.attempts as u16;
    let asked = || ask(tried[0], attempts, &[MAILBOXES - 1, 12, 11, 10]);
    let flights = [life.fly_at(noon() + minutes(300), asked()).await];
    life.settle(&[at(300, not_let_in(&flights[0]))]).await;
    assert_eq!(candidates(world, 300 + 24 * 60 - 1).await, [0; 0], "a day");
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"; 3]);
}

pub async fn a_mail_that_a_breaker_lets_try_and_that_is_let_in_ends_it(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 8).await;
    life.settle(&flights.iter().map(not_let_in).collect::<Vec<_>>()).await;
    for (minute, ends) in [(60, not_let_in as fn(&Flight) -> Settlement), (300, sent)] {
        let tried = candidates(world, minute).await[0];
        let attempts = world.day(tried, super::DAY).await.attempts as u16;
        let flight = life.fly_at(noon() + minutes(minute), ask(tried, attempts, &[MAILBOXES - 1, 12, 11, 10])).await;
        life.settle(&[at(minute, ends(&flight))]).await;
    }
    assert_eq!(told(world, "host-recovered").await, ["let-in"]);
    assert_eq!(candidates(world, 301).await.len(), 13, "also those that it had disabled");
    let mut flights = Vec::new();
    for mailbox in candidates(world, 301).await.into_iter().filter(|id| *id < MAILBOXES).take(8) {
        let attempts = world.day(mailbox, super::DAY).await.attempts as u16;
        flights.push(life.fly_at(noon() + minutes(301), ask(mailbox, attempts, &[12, 11, 10, 9, 8, 7])).await);
    }
    life.settle(&flights.iter().map(|flight| at(302, not_let_in(flight))).collect::<Vec<_>>()).await;
    assert_eq!(candidates(world, 302 + 59).await, [0; 0]);
    assert_eq!(candidates(world, 302 + 60).await.len(), 1, "an hour, as at first");
}

pub async fn whom_a_breaker_disabled_comes_back_when_the_host_lets_one_in(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 10).await;
    life.settle(&[at(0, not_let_in(&flights[8])), at(1, end(&flights[9], OutcomeKind::Sent))]).await;
    for (n, flight) in (0..).zip(&flights[..8]) {
        life.settle(&[at(15 + n * 15, not_let_in(flight))]).await;
    }
    assert_eq!(stopped(world).await, [1, 2, 3, 4, 9], "9 for its own reason");
    // Mailbox 3 has moved to another host.
    world.set_host(3, "other.test").await;
    let flight = life.fly_at(noon() + minutes(180), ask(5, 1, &[12])).await;
    life.settle(&[at(181, end(&flight, OutcomeKind::Sent))]).await;
    assert_eq!(told(world, "sender-restored").await, ["auth-refused"; 3]);
    assert_eq!(stopped(world).await, [3, 9], "9 had neighbours that were let in, 3 is elsewhere");
    assert_eq!(world.standing(1).await.sending_reason, None);
    life.fly_at(noon() + minutes(182), ask(1, 1, &[12])).await;
}

pub async fn a_stall_of_one_mailbox_rests_nobody_and_three_pause_their_host(world: &dyn LedgerWorld) {
    for (place, stage) in (0..).zip([Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot]) {
        let ids: Vec<i64> = (1..=5).map(|n| place * 100 + n).collect();
        for id in &ids {
            world.enrol(*id, 1, 5, &format!("d{}.test", id % 3), 127).await;
            world.set_host(*id, &format!("mail{place}.test")).await;
        }
        let life = Life::begin(world).await;
        let mut flights = Vec::new();
        for id in &ids[..4] {
            flights.push(life.fly(ask(*id, 0, &[ids[4]])).await);
        }
        life.settle(&[at(0, stalled(&flights[0], stage))]).await;
        life.settle(&[at(1, stalled(&flights[1], stage))]).await;
        assert_eq!(told(world, "host-paused").await.len(), place as usize, "two of five at {stage:?}");
        life.settle(&[at(2, stalled(&flights[2], stage)), at(2, stalled(&flights[3], stage))]).await;
        let reason = format!("stalled-at-{}", stage.as_str());
        assert_eq!(told(world, "host-paused").await.last(), Some(&reason));
        assert_eq!(told(world, "host-paused").await.len(), place as usize + 1);
        let mine = async |minute| candidates(world, minute).await.iter().filter(|id| ids.contains(id)).count();
        assert_eq!((mine(6).await, mine(7).await), (0, 5), "five minutes");
    }
    assert_eq!(told(world, "sender-disabled").await, [""; 0]);
}

/// Returns a settlement like a 421 at MAIL.
fn in_trouble(flight: &Flight) -> Settlement {
    let effects = Effects { host: Some(Penalty::Stall), ..Effects::default() };
    answered(flight, Stage::Mail, "host-trouble", effects)
}

pub async fn a_421_at_mail_to_one_sender_rests_nobody_and_to_three_pauses_their_host(world: &dyn LedgerWorld) {
    enrol(world, MAILBOXES, 5).await;
    let life = Life::begin(world).await;
    for round in 0..2 {
        let flight = life.fly(ask(1, round, &[12 - i64::from(round)])).await;
        life.settle(&[at(0, in_trouble(&flight))]).await;
    }
    let second = life.fly(ask(2, 0, &[MAILBOXES])).await;
    life.settle(&[at(1, in_trouble(&second))]).await;
    assert_eq!(told(world, "host-paused").await, [""; 0], "two senders");
    let third = life.fly(ask(3, 0, &[MAILBOXES])).await;
    life.settle(&[at(2, in_trouble(&third))]).await;
    assert_eq!(told(world, "host-paused").await, ["host-trouble"], "three senders");
    assert_eq!(candidates(world, 6).await, [0; 0]);
}

pub async fn a_host_that_refuses_our_address_is_told_of_and_eases_nobody(world: &dyn LedgerWorld) {
    let life = ramping(world).await;
    let refuses_us = |flight: &Flight| {
        let effects = Effects { host: Some(Penalty::Stall), ..Effects::default() };
        answered(flight, Stage::Rcpt, "host-refuses-us", effects)
    };
    for sender in 1..=3 {
        let flight = life.fly(ask(sender, 0, &[MAILBOXES])).await;
        life.settle(&[at(0, refuses_us(&flight))]).await;
    }
    assert_eq!(world.grown(1).await, 20, "its ramp stays");
    assert_eq!(told(world, "sender-eased").await, [""; 0]);
    assert_eq!(told(world, "mail-alert").await, ["host-refuses-us"], "once an hour");
    assert_eq!(told(world, "host-paused").await, ["host-refuses-us"]);
}

pub async fn the_stalls_of_one_user_pause_no_host_that_others_share(world: &dyn LedgerWorld) {
    for id in 1..=11 {
        let user = if id > 9 { 2 } else { 1 };
        world.enrol(id, user, 5, &format!("d{}.test", id % 3), 127).await;
    }
    let life = Life::begin(world).await;
    let mut flights = Vec::new();
    for id in 1..=10 {
        flights.push(life.fly(ask(id, 0, &[11])).await);
    }
    life.settle(&[at(0, stalled(&flights[0], Stage::Rcpt)), at(0, stalled(&flights[1], Stage::Rcpt))]).await;
    for flight in &flights[2..9] {
        life.settle(&[at(1, stalled(flight, Stage::Rcpt))]).await;
    }
    assert_eq!(told(world, "host-paused").await, [""; 0], "nine of one user");
    let answer = life.fly_at(noon() + minutes(2), ask(1, 1, &[10])).await;
    life.settle(&[at(2, answered(&answer, Stage::Rcpt, "refused", Effects::default()))]).await;
    let again = [life.fly_at(noon() + minutes(3), ask(2, 1, &[10])).await, flights[9].clone()];
    life.settle(&[at(3, stalled(&again[0], Stage::Rcpt)), at(3, stalled(&again[1], Stage::Rcpt))]).await;
    assert_eq!(told(world, "host-paused").await, [""; 0], "the answer ended the count");
    let third = life.fly_at(noon() + minutes(4), ask(3, 1, &[10])).await;
    life.settle(&[at(4, stalled(&third, Stage::Rcpt))]).await;
    assert_eq!(told(world, "host-paused").await, ["stalled-at-rcpt"], "three of two users");
}

pub async fn the_stalls_of_one_user_leave_those_of_another_in_the_count(world: &dyn LedgerWorld) {
    for id in 1..=6 {
        world.enrol(id, if id > 4 { 2 } else { 1 }, 5, &format!("d{}.test", id % 3), 127).await;
    }
    let life = Life::begin(world).await;
    for id in 1..=5 {
        assert_eq!(told(world, "host-paused").await, [""; 0], "before mailbox {id}");
        let flight = life.fly(ask(id, 0, &[6])).await;
        life.settle(&[at(0, stalled(&flight, Stage::Rcpt))]).await;
    }
    assert_eq!(told(world, "host-paused").await, ["stalled-at-rcpt"], "the fifth mailbox is another user's");
}

pub async fn an_answer_at_that_step_ends_the_count_of_stalls(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 12).await;
    let refused_at = |stage| move |f: &Flight| answered(f, stage, "refused", Effects::default());
    life.settle(&[at(0, stalled(&flights[0], Stage::Rcpt)), at(0, stalled(&flights[1], Stage::Rcpt))]).await;
    life.settle(&[at(1, refused_at(Stage::Rcpt)(&flights[2]))]).await;
    life.settle(&[at(2, stalled(&flights[3], Stage::Rcpt)), at(2, stalled(&flights[4], Stage::Rcpt))]).await;
    assert_eq!(told(world, "host-paused").await, [""; 0], "RCPT was answered in between");
    life.settle(&[at(3, refused_at(Stage::Mail)(&flights[5])), at(4, stalled(&flights[6], Stage::Rcpt))]).await;
    assert_eq!(told(world, "host-paused").await, ["stalled-at-rcpt"], "MAIL was, RCPT was not");
    assert_eq!(candidates(world, 8).await.len(), 0);
    life.settle(&[at(9, stalled(&flights[7], Stage::Rcpt))]).await;
    assert_eq!((candidates(world, 23).await.len(), candidates(world, 24).await.len()), (0, 13), "longer each time");
    life.settle(&[at(24, end(&flights[8], OutcomeKind::Sent))]).await;
    assert_eq!(told(world, "host-recovered").await, ["let-in"]);
    life.settle(&[at(25, stalled(&flights[9], Stage::Rcpt)), at(25, stalled(&flights[10], Stage::Rcpt))]).await;
    assert_eq!(candidates(world, 26).await.len(), 13, "it begins anew");
}

pub async fn at_a_host_with_two_mailboxes_stalls_of_both_are_failures(world: &dyn LedgerWorld) {
    enrol(world, MAILBOXES, 9).await;
    for mailbox in 1..=2 {
        world.set_host(mailbox, "small.test").await;
    }
    let life = Life::begin(world).await;
    for round in 0..3u16 {
        for mailbox in 1..=2 {
            let flight = life.fly(ask(mailbox, round, &[3 + i64::from(round)])).await;
            assert_eq!(told(world, "host-paused").await, [""; 0], "mail {round} of {mailbox}");
            life.settle(&[at(0, stalled(&flight, Stage::Dot))]).await;
        }
    }
    assert_eq!(told(world, "host-paused").await, ["stalled-at-dot"], "the fifth failure of the two");
}

pub async fn a_breaker_concerns_its_own_host_only(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 6).await;
    world.set_host(6, "Other.test").await;
    life.settle(&flights[..5].iter().map(not_let_in).collect::<Vec<_>>()).await;
    assert_eq!(candidates(world, 1).await, [6]);
    life.settle(&[not_let_in(&flights[5])]).await;
    assert_eq!(stopped(world).await, [1, 2, 6]);
}

pub async fn a_resumed_host_is_as_if_nothing_had_been(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 7).await;
    life.settle(&flights[..6].iter().map(not_let_in).collect::<Vec<_>>()).await;
    world.resume_host(HOST).await;
    assert_eq!(candidates(world, 1).await.len(), 13);
    life.settle(&[at(1, not_let_in(&flights[6]))]).await;
    assert_eq!(stopped(world).await, [7], "one with a wrong password, and no wave");
    assert_eq!(told(world, "host-paused").await.len(), 1);
}

pub async fn a_failure_of_a_host_pauses_nobody_and_five_in_a_row_do(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 12).await;
    let ends = [failed, failed, failed, failed, |f: &Flight| end(f, OutcomeKind::Sent), failed, failed, failed, failed];
    for (settlement, flight) in ends.iter().zip(&flights) {
        life.settle(&[settlement(flight)]).await;
    }
    assert_eq!(told(world, "host-paused").await, [""; 0], "never five without one that came through");
    life.settle(&[at(1, failed(&flights[9])), at(1, failed(&flights[10]))]).await;
    assert_eq!(told(world, "host-paused").await, ["host-unreachable"]);
    assert_eq!((candidates(world, 5).await, candidates(world, 6).await.len()), (vec![], 13));
    life.settle(&[at(6, failed(&flights[11]))]).await;
    assert_eq!((candidates(world, 20).await, candidates(world, 21).await.len()), (vec![], 13), "longer each time");
    let flight = life.fly_at(noon() + minutes(21), ask(1, 1, &[2])).await;
    life.settle(&[at(21, end(&flight, OutcomeKind::Sent))]).await;
    assert_eq!(told(world, "host-recovered").await, ["let-in"]);
    assert_eq!(stopped(world).await, [0; 0]);
}

/// Sends two mails a round. One is sent, so that no two refusals are in a row; `answer` settles the other
/// one.
async fn collect(life: &Life<'_>, rounds: std::ops::Range<u16>, answer: fn(&Flight) -> Settlement) {
    for round in rounds {
        for (attempt, ends) in [(2 * round, sent as fn(&Flight) -> Settlement), (2 * round + 1, answer)] {
            let flight = life.fly(ask(1, attempt, &[i64::from(attempt) + 2])).await;
            life.settle(&[ends(&flight)]).await;
        }
    }
}

fn sent(flight: &Flight) -> Settlement {
    end(flight, OutcomeKind::Sent)
}

async fn ramping(world: &dyn LedgerWorld) -> Life<'_> {
    enrol(world, MAILBOXES, 30).await;
    world.set_ramp(1, Ramp { start: 3, step: 3, daily_max: 30 }, 20).await;
    Life::begin(world).await
}

pub async fn three_strikes_ease_a_sender_and_six_pause_it(world: &dyn LedgerWorld) {
    let life = ramping(world).await;
    collect(&life, 0..2, struck).await;
    assert_eq!(world.grown(1).await, 20, "two are two");
    collect(&life, 2..3, struck).await;
    assert_eq!(world.grown(1).await, 4, "15 a day");
    assert_eq!(told(world, "sender-eased").await, ["policy-refused"]);
    collect(&life, 3..5, struck).await;
    assert_eq!((world.standing(1).await.sending.as_str(), world.grown(1).await), ("active", 4));
    collect(&life, 5..6, struck).await;
    assert_eq!(world.standing(1).await.sending, "paused");
    assert_eq!(told(world, "sender-paused").await, ["policy-refused"]);
    assert!(!candidates(world, 24 * 60 - 1).await.contains(&1) && candidates(world, 24 * 60).await.contains(&1));
    assert!(world.standing(2).await.receives, "no partner pays for it");
}

pub async fn strikes_of_another_day_are_forgotten(world: &dyn LedgerWorld) {
    enrol(world, MAILBOXES, 30).await;
    world.set_ramp(1, Ramp { start: 3, step: 3, daily_max: 30 }, 20).await;
    let life = Life::begin(world).await;
    for (round, minute) in [0, 1, 24 * 60, 24 * 60 + 1].into_iter().enumerate() {
        for (attempt, ends) in [(2 * round, struck as fn(&Flight) -> Settlement), (2 * round + 1, sent)] {
            let flight = life.fly(ask(1, attempt as u16, &[attempt as i64 + 2])).await;
            life.settle(&[at(minute, ends(&flight))]).await;
        }
    }
    assert_eq!(world.grown(1).await, 20);
    assert_eq!(told(world, "sender-eased").await, [""; 0]);
}

pub async fn too_much_at_once_pauses_an_hour_and_eases_once_a_day(world: &dyn LedgerWorld) {
    let life = ramping(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[too_much(&flight)]).await;
    assert_eq!((world.standing(1).await.sending.as_str(), world.grown(1).await), ("paused", 4));
    let flight = life.fly_at(noon() + minutes(60), ask(1, 1, &[3])).await;
    life.settle(&[at(60, too_much(&flight))]).await;
    assert_eq!(world.grown(1).await, 4, "once a day");
    assert_eq!(told(world, "sender-eased").await, ["sender-rate"]);
    assert_eq!(told(world, "sender-paused").await, ["sender-rate"; 2]);
    let flight = life.fly_at(noon() + TimeDelta::hours(2), ask(1, 2, &[4])).await;
    life.settle(&[at(24 * 60, too_much(&flight))]).await;
    assert_eq!(world.grown(1).await, 1, "half of 15, from the ramp's own steps");
}

pub async fn an_alert_of_one_owner_silences_no_other_owners(world: &dyn LedgerWorld) {
    for (id, user) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        world.enrol(id, user, 5, &format!("d{id}.test"), 127).await;
    }
    let life = Life::begin(world).await;
    let refused = |flight: &Flight| answered(flight, Stage::Dot, "content-refused", Effects::default());
    for (minute, sender) in [(0, 1), (1, 2), (2, 3)] {
        let flight = life.fly_at(noon() + minutes(minute), ask(sender, 0, &[4])).await;
        life.settle(&[at(minute, refused(&flight))]).await;
    }
    assert_eq!(told(world, "mail-alert").await, ["content-refused"; 2], "one for each owner");
}

pub async fn what_nobody_pays_for_is_told_once_an_hour(world: &dyn LedgerWorld) {
    let (life, flights) = aloft(world, 4).await;
    let refused = |flight| answered(flight, Stage::Dot, "content-refused", Effects::default());
    life.settle(&[refused(&flights[0]), refused(&flights[1])]).await;
    life.settle(&[at(59, refused(&flights[2]))]).await;
    assert_eq!(told(world, "mail-alert").await, ["content-refused"]);
    life.settle(&[at(60, refused(&flights[3]))]).await;
    assert_eq!(told(world, "mail-alert").await, ["content-refused"; 2]);
    assert_eq!((stopped(world).await, candidates(world, 61).await.len()), (vec![], 13));
}

/// Each racer settles some of the wave at once. In any order, four mailboxes are disabled and the fifth
/// refusal opens the breaker.
pub async fn racing_settles_of_a_wave_disable_four(world: &dyn LedgerWorld) {
    for wave in 0..6 {
        let ids: Vec<i64> = (1..=12).map(|n| wave * 100 + n).collect();
        for id in &ids {
            world.enrol(*id, 1, 5, &format!("d{}.test", id % 3), 127).await;
            world.set_host(*id, &format!("mail{wave}.test")).await;
        }
        let life = Life::begin(world).await;
        let mut flights = Vec::new();
        for pair in ids.windows(2) {
            flights.push(life.fly(ask(pair[0], 0, &[pair[1]])).await);
        }
        let settles = flights.chunks(2).map(|some| {
            let (ledger, worker) = (world.ledger(), life.worker.clone());
            let results: Vec<Settlement> = some.iter().map(not_let_in).collect();
            tokio::spawn(async move { ledger.settle(&worker, &results).await.unwrap() })
        });
        for settle in settles.collect::<Vec<_>>() {
            settle.await.unwrap();
        }
        let mut disabled = 0;
        for id in &ids {
            disabled += usize::from(world.standing(*id).await.sending == "stopped");
        }
        assert_eq!(disabled, 4, "of wave {wave}");
        assert_eq!(told(world, "host-paused").await, vec!["auth-breaker"; wave as usize + 1]);
    }
}
