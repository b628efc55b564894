//! These cases check a database that lost its last commits: it does not know the mails of some results, and
//! its ids repeat.

use std::time::Duration;

use warmup::{
    domain::{outcome::OutcomeKind, roster::receive_bound},
    ports::{Flight, LoggedMail, Refusal, Settlement},
};

use super::{
    LedgerWorld, Life, ask, assert_true, end, enrol, noon,
    replies::{answer, only, written},
};

/// Reserves one mail of each mailbox 1, 2, ... to the next mailbox.
async fn flights(life: &Life<'_>, count: i64) -> Vec<Flight> {
    let mut flights = Vec::new();
    for mailbox in 1..=count {
        flights.push(life.fly(ask(mailbox, 0, &[mailbox + 1])).await);
    }
    flights
}

async fn log_lost(life: &Life<'_>, results: &[Settlement]) -> u64 {
    life.ledger.log_lost(&life.worker, results, noon()).await.unwrap()
}

async fn set_backs(world: &dyn LedgerWorld) -> usize {
    world.events().await.iter().filter(|(kind, ..)| kind == "ledger-set-back").count()
}

pub async fn a_result_that_lost_its_flight_is_written_late_and_once(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    world.backup().await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    world.restore().await;
    let results = [end(&flight, OutcomeKind::Sent)];
    assert_eq!((life.settle(&results).await, set_backs(world).await), (0, 0));
    assert_eq!((log_lost(&life, &results).await, set_backs(world).await), (1, 1));
    assert_eq!((log_lost(&life, &results).await, life.settle(&results).await, set_backs(world).await), (0, 0, 1));
    let day = life.day(1).await;
    assert_eq!((day.sent, day.reserved, day.attempts), (1, 1, 1));
    assert_eq!((world.pairs().await, world.logs().await.len()), (vec![(1, 2, 0)], 1));
    assert_true(world, 1, 0).await;
    assert_eq!(life.refusal(ask(1, 1, &[2])).await, Refusal::NoPartner, "no pair twice");
}

pub async fn the_day_of_a_lost_mail_may_be_lost_too(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    world.backup().await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    world.restore().await;
    assert_eq!(log_lost(&life, &[end(&flight, OutcomeKind::Uncertain)]).await, 1);
    let day = life.day(1).await;
    assert_eq!((day.quota, day.uncertain, day.reserved), (5, 1, 1));
    assert_true(world, 1, 0).await;
}

pub async fn a_lost_mail_counts_as_it_ended(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    world.backup().await;
    let flights = flights(&life, 3).await;
    world.restore().await;
    let fates = [OutcomeKind::Refused, OutcomeKind::Uncertain, OutcomeKind::Unstarted];
    let results: Vec<_> = flights.iter().zip(fates).map(|(flight, fate)| end(flight, fate)).collect();
    assert_eq!(log_lost(&life, &results).await, 2, "what was never started has no row");
    let (refused, uncertain) = (life.day(1).await, life.day(2).await);
    assert_eq!((refused.failed, refused.reserved, refused.attempts), (1, 0, 1));
    assert_eq!((uncertain.uncertain, uncertain.reserved), (1, 1));
    for mailbox in 1..=3 {
        assert_true(world, mailbox, 0).await;
    }
}

pub async fn a_lost_mail_takes_its_place_in_the_users_day(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    world.limit(1, 1).await;
    let life = Life::begin(world).await;
    world.backup().await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    world.restore().await;
    assert_eq!(log_lost(&life, &[end(&flight, OutcomeKind::Sent)]).await, 1);
    assert_eq!(life.refusal(ask(2, 0, &[3])).await, Refusal::UserDailyLimit);
}

pub async fn a_lost_mail_counts_as_received_by_its_partner(world: &dyn LedgerWorld) {
    const PARTNER: i64 = 20;
    enrol(world, PARTNER, 1).await;
    let life = Life::begin(world).await;
    world.backup().await;
    let bound = i64::from(receive_bound(1));
    let mut results = Vec::new();
    for sender in 1..=bound {
        let fate = if sender == bound { OutcomeKind::Refused } else { OutcomeKind::Uncertain };
        results.push(end(&life.fly(ask(sender, 0, &[PARTNER])).await, fate));
    }
    world.restore().await;
    assert_eq!(log_lost(&life, &results).await, bound as u64);
    life.fly(ask(bound + 1, 0, &[PARTNER])).await;
    assert_eq!(
        life.refusal(ask(bound + 2, 0, &[PARTNER])).await,
        Refusal::PartnersFull,
        "all but the refused one count"
    );
}

pub async fn a_result_ends_no_other_mail_with_its_id(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    world.backup().await;
    let lost = life.fly(ask(1, 0, &[2])).await;
    world.restore().await;
    let other = life.fly(ask(2, 0, &[3])).await;
    assert_eq!(lost.id, other.id, "the id is handed out again");
    assert_eq!((life.settle(&[end(&lost, OutcomeKind::Refused)]).await, world.in_flight().await), (0, 1));
    assert_eq!(life.ledger.release(life.run, std::slice::from_ref(&lost.message_id), noon()).await.unwrap(), 0);
    let both = [end(&lost, OutcomeKind::Refused), end(&other, OutcomeKind::Sent)];
    assert_eq!((life.settle(&both).await, log_lost(&life, &both).await), (1, 1));
    assert_eq!((life.day(1).await.failed, life.day(2).await.sent), (1, 1));
    assert_true(world, 1, 0).await;
    assert_true(world, 2, 0).await;
}

pub async fn a_result_corrects_no_other_mail_with_its_id(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    world.backup().await;
    let lost = life.fly(ask(1, 0, &[2])).await;
    world.restore().await;
    let other = life.fly(ask(2, 0, &[3])).await;
    life.settle(&[end(&other, OutcomeKind::Uncertain)]).await;
    assert_eq!(life.settle(&[end(&lost, OutcomeKind::Sent)]).await, 0);
    assert_eq!((life.day(2).await.uncertain, life.day(2).await.sent), (1, 0));
    assert_true(world, 2, 0).await;
}

pub async fn what_the_ledger_knows_is_not_written_again(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    let flights = flights(&life, 3).await;
    let results: Vec<_> = flights.iter().map(|flight| end(flight, OutcomeKind::Sent)).collect();
    life.settle(&results[..1]).await;
    world.age(Duration::from_secs(120)).await;
    assert_eq!(life.sweep(life.run, vec![flights[2].message_id.clone()]).await.uncertain, 1);
    life.fly(ask(1, 1, &[3])).await;
    assert_eq!((log_lost(&life, &results).await, set_backs(world).await), (0, 0));
    for (mailbox, in_flight) in [(1, 1), (2, 0), (3, 1)] {
        assert_true(world, mailbox, in_flight).await;
    }
}

fn answered_late(reply: &Flight, thread: &str) -> Settlement {
    Settlement { mail: LoggedMail::from_flight(reply, Some(thread.to_owned())), ..end(reply, OutcomeKind::Sent) }
}

pub async fn a_thread_whose_answer_was_lost_is_not_answered_again(world: &dyn LedgerWorld) {
    enrol(world, 2, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    world.backup().await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    world.restore().await;
    assert_eq!(only(world).await.state, "waiting");
    assert_eq!(log_lost(&life, &[answered_late(&reply, &mail.message_id)]).await, 1);
    assert_eq!(only(world).await.state, "sent");
    assert_eq!(life.refusal(answer(mail.id.0, 2, 1)).await, Refusal::Stale);
    let row = world.logs().await.pop().unwrap();
    assert_eq!((row.status.as_str(), row.answers), ("REPLIED", Some(mail.id.0)));
    assert_true(world, 2, 0).await;
}

pub async fn an_answer_that_was_lost_ends_no_other_thread_with_its_id(world: &dyn LedgerWorld) {
    enrol(world, 2, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    world.backup().await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    world.restore().await;
    assert_eq!(log_lost(&life, &[answered_late(&reply, "lost@d1.test")]).await, 1);
    assert_eq!(only(world).await.state, "waiting");
    assert_eq!(world.logs().await.pop().unwrap().answers, Some(0));
}
