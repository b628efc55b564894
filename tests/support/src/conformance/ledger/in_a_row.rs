//! These cases check that refusals and other failures in a row pause the sender only, longer each time.

use std::time::Duration;

use warmup::{
    domain::outcome::{Effects, OutcomeKind, Penalty, Stage},
    ports::{Flight, Refusal, Reservation, Settlement},
};

use super::{LedgerWorld, Life, ask, assert_true, end, enrol, minutes, noon};

const HOUR: Penalty = Penalty::Pause(Duration::from_secs(3600));
const REASON: &str = "refused-in-a-row";
const FAILED: &str = "failed-in-a-row";
/// The host of mailbox 1 alone.
const OWN_HOST: &str = "own.test";

/// Enrols the mailboxes; mailbox 1 writes to the others.
async fn begin(world: &dyn LedgerWorld) -> Life<'_> {
    enrol(world, 12, 9).await;
    Life::begin(world).await
}

/// Returns a settlement like a 554 without further information.
fn refused(flight: &Flight) -> Settlement {
    let mut settlement = end(flight, OutcomeKind::Refused);
    settlement.outcome.reason = "refused";
    settlement
}

/// Returns a settlement like a 450 that the partner receives too much.
fn partner_refused(flight: &Flight) -> Settlement {
    let mut settlement = refused(flight);
    (settlement.outcome.stage, settlement.outcome.reason) = (Stage::Rcpt, "partner-busy");
    settlement.outcome.effects =
        Effects { partner: Some(Penalty::Pause(Duration::from_secs(300))), ..Effects::default() };
    settlement
}

/// Returns a settlement like a reply that pauses the sender for four hours.
fn quota_exceeded(flight: &Flight) -> Settlement {
    let mut settlement = refused(flight);
    settlement.outcome.reason = "sender-quota-exceeded";
    let rest = Penalty::Pause(Duration::from_secs(4 * 3600));
    settlement.outcome.effects = Effects { sender: Some(rest), ..Effects::default() };
    settlement
}

/// Returns a settlement like a host that breaks the connection before the greeting.
fn not_greeted(flight: &Flight) -> Settlement {
    let mut settlement = refused(flight);
    (settlement.outcome.stage, settlement.outcome.reason) = (Stage::Greeting, "connection-lost");
    (settlement.outcome.reply, settlement.outcome.effects.host) = (None, Some(Penalty::Strike));
    settlement
}

/// Returns a settlement like a timeout at RCPT.
fn unanswered(flight: &Flight) -> Settlement {
    let mut settlement = not_greeted(flight);
    (settlement.outcome.stage, settlement.outcome.reason) = (Stage::Rcpt, "timeout");
    settlement.outcome.effects.host = Some(Penalty::Stall);
    settlement
}

/// Returns a settlement like a timeout after the final dot.
fn uncertain(flight: &Flight) -> Settlement {
    let mut settlement = end(flight, OutcomeKind::Uncertain);
    settlement.outcome.effects.host = Some(Penalty::Stall);
    settlement
}

/// Sends the next mail of mailbox 1, which `ends` settles at this minute.
async fn mail(life: &Life<'_>, attempt: u16, minute: i64, ends: impl Fn(&Flight) -> Settlement) {
    mail_of(life, 1, attempt, minute, ends).await;
}

async fn mail_of(life: &Life<'_>, mailbox: i64, attempt: u16, minute: i64, ends: impl Fn(&Flight) -> Settlement) {
    let partner = (mailbox + i64::from(attempt)) % 12 + 1;
    let flight = life.fly_at(noon() + minutes(minute), ask(mailbox, attempt, &[partner])).await;
    life.settle(&[Settlement { at: noon() + minutes(minute), ..ends(&flight) }]).await;
}

async fn answer_at(life: &Life<'_>, attempt: u16, minute: i64) -> Reservation {
    let asked = ask(1, attempt, &[12]);
    life.ledger.reserve(&life.batch_at(noon() + minutes(minute), vec![asked])).await.unwrap().remove(0)
}

async fn assert_rests(life: &Life<'_>, attempt: u16, minute: i64) {
    let answer = answer_at(life, attempt, minute).await;
    assert_eq!(answer, Reservation::Refused(Refusal::SenderPaused), "attempt {attempt} at minute {minute}");
}

async fn pauses(world: &dyn LedgerWorld) -> Vec<(Option<i64>, String)> {
    let paused = world.events().await.into_iter().filter(|(kind, ..)| kind == "sender-paused");
    paused.map(|(_, mailbox, reason)| (mailbox, reason)).collect()
}

fn rest() -> (Option<i64>, String) {
    (Some(1), REASON.to_owned())
}

fn rest_for_failures() -> (Option<i64>, String) {
    (Some(1), FAILED.to_owned())
}

/// Lets mailbox 1 fail six times as `ends` settles, and asserts its pauses.
async fn assert_rests_for_failures(life: &Life<'_>, ends: impl Fn(&Flight) -> Settlement + Copy) {
    let mut minute = 0;
    for (attempt, rests) in [0, 0, 15, 60, 4 * 60, 24 * 60].into_iter().enumerate() {
        let attempt = attempt as u16;
        mail(life, attempt, minute, ends).await;
        assert_eq!(pauses(life.world).await, vec![rest_for_failures(); usize::from(attempt).saturating_sub(1)]);
        if rests > 0 {
            let standing = life.world.standing(1).await;
            assert_eq!((standing.sending.as_str(), standing.sending_reason.as_deref()), ("paused", Some(FAILED)));
            assert_rests(life, attempt + 1, minute + rests - 1).await;
        }
        minute += rests;
    }
}

pub async fn a_sender_that_is_refused_again_and_again_rests_longer_each_time(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    mail(&life, 0, 0, refused).await;
    assert_eq!((world.standing(1).await.sending.as_str(), pauses(world).await), ("active", vec![]), "once is once");
    let mut minute = 0;
    for (attempt, rests) in [15, 60, 4 * 60, 24 * 60, 24 * 60].into_iter().enumerate() {
        let attempt = attempt as u16 + 1;
        mail(&life, attempt, minute, refused).await;
        let standing = world.standing(1).await;
        assert_eq!((standing.sending.as_str(), standing.sending_reason.as_deref()), ("paused", Some(REASON)));
        assert_eq!(pauses(world).await, vec![rest(); usize::from(attempt)]);
        assert_rests(&life, attempt + 1, minute + rests - 1).await;
        minute += rests;
    }
    mail(&life, 6, minute, |flight| end(flight, OutcomeKind::Sent)).await;
    assert_true(world, 1, 0).await;
}

pub async fn a_success_ends_the_refusals_in_a_row(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    for (attempt, ends) in
        [(0, OutcomeKind::Refused), (1, OutcomeKind::Sent), (2, OutcomeKind::Refused), (3, OutcomeKind::Uncertain)]
    {
        mail(&life, attempt, 0, |flight| end(flight, ends)).await;
    }
    assert_eq!(pauses(world).await, [], "never two without a success");
    mail(&life, 4, 0, refused).await;
    assert_eq!(pauses(world).await, [rest()], "what nobody knows is no success");
    assert_rests(&life, 5, 14).await;
    mail(&life, 5, 15, |flight| end(flight, OutcomeKind::Sent)).await;
    mail(&life, 6, 15, refused).await;
    assert_eq!(pauses(world).await, [rest()], "it counts anew");
}

pub async fn four_refused_partners_may_be_chance_and_five_in_a_row_rest_their_sender(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    for attempt in 0..4 {
        mail(&life, attempt, 0, partner_refused).await;
    }
    assert_eq!(pauses(world).await, []);
    mail(&life, 4, 0, partner_refused).await;
    assert_eq!(pauses(world).await, [rest()]);
    assert_rests(&life, 5, 239).await;
    mail(&life, 5, 240, partner_refused).await;
    assert_rests(&life, 6, 240 + 24 * 60 - 1).await;
    for partner in 2..=7 {
        assert!(world.standing(partner).await.receives, "{partner} is left alone by nobody");
    }
}

pub async fn what_the_host_did_not_answer_is_no_refusal(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    let unanswered = |stage| {
        move |flight: &Flight| {
            let mut settlement = refused(flight);
            (settlement.outcome.stage, settlement.outcome.reason) = (stage, "cancelled");
            settlement.outcome.reply = None;
            settlement
        }
    };
    let greeted = |flight: &Flight| {
        let mut settlement = refused(flight);
        settlement.outcome.stage = Stage::Greeting;
        settlement
    };
    mail(&life, 0, 0, refused).await;
    mail(&life, 1, 0, unanswered(Stage::Data)).await;
    mail(&life, 2, 0, unanswered(Stage::Connect)).await;
    mail(&life, 3, 0, greeted).await;
    assert_eq!(pauses(world).await, []);
    mail(&life, 4, 0, refused).await;
    assert_rests(&life, 5, 14).await;
    assert!(matches!(answer_at(&life, 5, 15).await, Reservation::Reserved(_)), "it was the second one");
}

pub async fn of_a_verdict_and_the_refusals_in_a_row_the_longer_pause_counts(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    let temporary = |flight: &Flight| {
        let mut settlement = refused(flight);
        (settlement.outcome.stage, settlement.outcome.reason) = (Stage::Auth, "auth-temporary");
        settlement.outcome.effects = Effects { sender: Some(HOUR), ..Effects::default() };
        settlement
    };
    for attempt in 0..4 {
        mail(&life, attempt, 60 * i64::from(attempt), temporary).await;
    }
    let own = (Some(1), "auth-temporary".to_owned());
    assert_eq!(pauses(world).await, [own.clone(), own.clone(), own, rest()], "one event a pause");
    assert_rests(&life, 4, 7 * 60 - 1).await;
    assert!(matches!(answer_at(&life, 4, 7 * 60).await, Reservation::Reserved(_)));
}

pub async fn a_verdict_that_rests_the_sender_for_hours_counts_for_itself_until_the_sixth_failure(
    world: &dyn LedgerWorld,
) {
    let life = begin(world).await;
    for attempt in 0..6 {
        mail(&life, attempt, 240 * i64::from(attempt), quota_exceeded).await;
    }
    let mut all = vec![(Some(1), "sender-quota-exceeded".to_owned()); 5];
    all.push(rest_for_failures());
    assert_eq!(pauses(world).await, all);
    assert_rests(&life, 6, 5 * 240 + 24 * 60 - 1).await;
}

pub async fn six_failures_of_any_kind_in_a_row_rest_the_sender_for_a_day(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    mail(&life, 0, 0, partner_refused).await;
    mail(&life, 1, 0, unanswered).await;
    mail(&life, 2, 0, refused).await;
    mail(&life, 3, 15, quota_exceeded).await;
    mail(&life, 4, 255, partner_refused).await;
    assert_eq!(pauses(world).await, [rest(), (Some(1), "sender-quota-exceeded".to_owned())]);
    mail(&life, 5, 255, partner_refused).await;
    assert_eq!(pauses(world).await.last(), Some(&rest_for_failures()));
    assert_rests(&life, 6, 255 + 24 * 60 - 1).await;
}

pub async fn a_sender_whose_host_answers_nobody_else_rests_longer_each_time(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    world.set_host(1, OWN_HOST).await;
    assert_rests_for_failures(&life, not_greeted).await;
}

pub async fn mails_that_stay_without_an_answer_rest_their_sender_too(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    world.set_host(1, OWN_HOST).await;
    assert_rests_for_failures(&life, uncertain).await;
}

pub async fn a_sender_that_fails_before_auth_rests_while_its_host_takes_other_mails(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    for attempt in 0..2 {
        mail(&life, attempt, 0, not_greeted).await;
        mail_of(&life, 2, attempt, 0, |flight| end(flight, OutcomeKind::Sent)).await;
        mail_of(&life, 3, attempt, 0, |flight| end(flight, OutcomeKind::Sent)).await;
    }
    assert_eq!(pauses(world).await, []);
    mail(&life, 2, 0, not_greeted).await;
    assert_eq!(pauses(world).await, [rest_for_failures()]);
    assert_rests(&life, 3, 14).await;
    mail_of(&life, 2, 2, 0, |flight| end(flight, OutcomeKind::Sent)).await;
    mail(&life, 3, 15, |flight| end(flight, OutcomeKind::Sent)).await;
    for attempt in 4..6 {
        mail(&life, attempt, 15, not_greeted).await;
    }
    assert_eq!(pauses(world).await, [rest_for_failures()], "it counts anew after a success");
}

pub async fn a_host_that_is_down_for_everybody_rests_no_sender_of_its_own(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    // Five failures pause the host for 5, then 15, then 60 minutes; no mail passes AUTH.
    let mut attempts = [0; 4];
    for (mailbox, minute) in [(1, 0), (2, 0), (1, 1), (2, 1), (3, 1)] {
        mail_of(&life, mailbox, attempts[mailbox as usize], minute, not_greeted).await;
        attempts[mailbox as usize] += 1;
    }
    for minute in [6, 21, 81, 141, 201, 261] {
        for mailbox in [1, 2, 3] {
            // These mails were in flight when the pause began again.
            let partner = (mailbox + i64::from(attempts[mailbox as usize])) % 12 + 1;
            let asked = ask(mailbox, attempts[mailbox as usize], &[partner]);
            let flight = life.fly_at(noon() + minutes(minute), asked).await;
            attempts[mailbox as usize] += 1;
            if mailbox < 3 {
                life.settle(&[Settlement { at: noon() + minutes(minute - 1), ..not_greeted(&flight) }]).await;
            } else {
                life.settle(&[Settlement { at: noon() + minutes(minute), ..not_greeted(&flight) }]).await;
            }
        }
        assert_eq!(pauses(world).await, [], "minute {minute}");
    }
    mail_of(&life, 2, attempts[2], 321, |flight| end(flight, OutcomeKind::Sent)).await;
    mail(&life, attempts[1], 321, not_greeted).await;
    assert_eq!(pauses(world).await, [rest_for_failures()], "what was counted before the host was paused, and this one");
}

pub async fn a_resume_forgets_failures_of_any_kind(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    for attempt in 0..3 {
        mail(&life, attempt, 0, unanswered).await;
    }
    world.resume(1).await;
    for attempt in 3..5 {
        mail(&life, attempt, 0, unanswered).await;
    }
    assert_eq!(pauses(world).await, [rest_for_failures()]);
    mail(&life, 5, 0, unanswered).await;
    assert_rests(&life, 6, 14).await;
    assert!(matches!(answer_at(&life, 6, 15).await, Reservation::Reserved(_)), "it was the third one");
}

pub async fn a_resumed_mailbox_is_as_if_it_had_never_been_refused(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    mail(&life, 0, 0, refused).await;
    mail(&life, 1, 0, refused).await;
    world.resume(1).await;
    mail(&life, 2, 0, refused).await;
    assert_eq!(pauses(world).await, [rest()], "the first one again");
    mail(&life, 3, 0, refused).await;
    assert_rests(&life, 4, 14).await;
    world.resume_host("mail.test").await;
    mail(&life, 4, 0, refused).await;
    assert_eq!(pauses(world).await, vec![rest(); 2]);
}

pub async fn one_senders_refusals_rest_no_other_sender(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    mail(&life, 0, 0, refused).await;
    let flight = life.fly(ask(2, 0, &[3])).await;
    life.settle(&[refused(&flight)]).await;
    mail(&life, 1, 0, refused).await;
    assert_eq!(pauses(world).await, [rest()]);
    life.fly(ask(2, 1, &[4])).await;
}
