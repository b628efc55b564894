//! Refusals in a row, without a success in between: they rest the sender, longer each time, and nobody else.

use std::time::Duration;

use warmup::{
    domain::outcome::{Effects, Fate, Measure, Stage},
    ports::{Flight, Refusal, Reservation, Settlement},
};

use super::{LedgerWorld, Life, ask, assert_true, end, enrol, minutes, noon};

const HOUR: Measure = Measure::Pause(Duration::from_secs(3600));
const REASON: &str = "refused-in-a-row";

/// Mailbox 1 writes to the others.
async fn begin(world: &dyn LedgerWorld) -> Life<'_> {
    enrol(world, 12, 9).await;
    Life::begin(world).await
}

/// As a 554 that says nothing more.
fn refused(flight: &Flight) -> Settlement {
    let mut settlement = end(flight, Fate::Refused);
    settlement.outcome.reason = "refused";
    settlement
}

/// As a 450 that the partner receives too much.
fn partner_refused(flight: &Flight) -> Settlement {
    let mut settlement = refused(flight);
    (settlement.outcome.stage, settlement.outcome.reason) = (Stage::Rcpt, "partner-busy");
    settlement.outcome.effects =
        Effects { partner: Some(Measure::Pause(Duration::from_secs(300))), ..Effects::default() };
    settlement
}

/// The next mail of mailbox 1, which ends so at this minute.
async fn mail(life: &Life<'_>, attempt: u16, minute: i64, ends: impl Fn(&Flight) -> Settlement) {
    let flight = life.fly_at(noon() + minutes(minute), ask(1, attempt, &[i64::from(attempt) + 2])).await;
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
    mail(&life, 6, minute, |flight| end(flight, Fate::Sent)).await;
    assert_true(world, 1, 0).await;
}

pub async fn a_success_ends_the_refusals_in_a_row(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    for (attempt, ends) in [(0, Fate::Refused), (1, Fate::Sent), (2, Fate::Refused), (3, Fate::Uncertain)] {
        mail(&life, attempt, 0, |flight| end(flight, ends)).await;
    }
    assert_eq!(pauses(world).await, [], "never two without a success");
    mail(&life, 4, 0, refused).await;
    assert_eq!(pauses(world).await, [rest()], "what nobody knows is no success");
    assert_rests(&life, 5, 14).await;
    mail(&life, 5, 15, |flight| end(flight, Fate::Sent)).await;
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

pub async fn a_verdict_that_rests_the_sender_for_hours_counts_for_itself(world: &dyn LedgerWorld) {
    let life = begin(world).await;
    let quota = |flight: &Flight| {
        let mut settlement = refused(flight);
        settlement.outcome.reason = "sender-quota-exceeded";
        let rest = Measure::Pause(Duration::from_secs(4 * 3600));
        settlement.outcome.effects = Effects { sender: Some(rest), ..Effects::default() };
        settlement
    };
    for attempt in 0..6 {
        mail(&life, attempt, 240 * i64::from(attempt), quota).await;
    }
    assert_eq!(pauses(world).await, vec![(Some(1), "sender-quota-exceeded".to_owned()); 6]);
    assert!(matches!(answer_at(&life, 6, 24 * 60).await, Reservation::Reserved(_)));
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
