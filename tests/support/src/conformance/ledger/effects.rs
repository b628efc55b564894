//! These cases check that a reply affects the named side only, with a reason and an event.

use std::time::Duration;

use uuid::Uuid;
use warmup::{
    domain::{
        id::RunId,
        outcome::{Effects, OutcomeKind, Penalty},
    },
    ports::{Flight, Refusal, Reservation, Settlement},
};

use super::{LedgerWorld, Life, ask, assert_true, end, enrol, minutes, noon};

const HOUR: Penalty = Penalty::Pause(Duration::from_secs(3600));

fn refused(flight: &Flight, reason: &'static str, effects: Effects) -> Settlement {
    let mut settlement = end(flight, OutcomeKind::Refused);
    settlement.outcome.reason = reason;
    settlement.outcome.effects = effects;
    settlement
}

async fn events(world: &dyn LedgerWorld, kind: &str) -> Vec<(Option<i64>, String)> {
    let all = world.events().await;
    all.into_iter().filter(|(of, ..)| of == kind).map(|(_, mailbox, reason)| (mailbox, reason)).collect()
}

async fn answer_at(life: &Life<'_>, later: i64, asked: warmup::ports::ReserveRequest) -> Reservation {
    life.ledger.reserve(&life.batch_at(noon() + minutes(later), vec![asked])).await.unwrap().remove(0)
}

pub async fn a_disabled_sender_stops_with_a_reason_and_an_event(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    let effects = Effects { sender: Some(Penalty::Disable), ..Effects::default() };
    life.settle(&[refused(&flight, "auth-refused", effects)]).await;
    let standing = world.standing(1).await;
    assert_eq!((standing.sending.as_str(), standing.sending_reason.as_deref()), ("stopped", Some("auth-refused")));
    assert_eq!(events(world, "sender-disabled").await, [(Some(1), "auth-refused".to_owned())]);
    assert_eq!(answer_at(&life, 100_000, ask(1, 1, &[3])).await, Reservation::Refused(Refusal::SenderPaused));
    assert_eq!(world.standing(2).await.sending, "active", "the partner is unharmed");
    assert_true(world, 1, 0).await;
}

pub async fn a_paused_sender_stops_until_its_pause_is_over(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[refused(&flight, "throttled", Effects { sender: Some(HOUR), ..Effects::default() })]).await;
    assert_eq!(events(world, "sender-paused").await, [(Some(1), "throttled".to_owned())]);
    assert_eq!(answer_at(&life, 59, ask(1, 1, &[3])).await, Reservation::Refused(Refusal::SenderPaused));
    assert!(matches!(answer_at(&life, 60, ask(1, 1, &[3])).await, Reservation::Reserved(_)));
}

pub async fn an_excluded_partner_is_not_written_to_and_its_sender_goes_on(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    let effects = Effects { partner: Some(Penalty::Disable), ..Effects::default() };
    life.settle(&[refused(&flight, "partner-unknown", effects)]).await;
    let standing = world.standing(2).await;
    assert_eq!((standing.receives, standing.receive_reason.as_deref()), (false, Some("partner-unknown")));
    assert_eq!(events(world, "partner-excluded").await, [(Some(2), "partner-unknown".to_owned())]);
    assert_eq!(life.refusal(ask(3, 0, &[2])).await, Refusal::NoPartner);
    assert_eq!(life.fly(ask(1, 1, &[2, 3])).await.recipient.mailbox.0, 3);
}

pub async fn a_partners_pause_ends_by_itself(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[refused(&flight, "partner-full", Effects { partner: Some(HOUR), ..Effects::default() })]).await;
    assert_eq!(answer_at(&life, 59, ask(3, 0, &[2])).await, Reservation::Refused(Refusal::NoPartner));
    assert!(matches!(answer_at(&life, 60, ask(3, 0, &[2])).await, Reservation::Reserved(_)));
}

pub async fn a_paused_host_stops_all_its_mailboxes_of_that_owner(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[refused(&flight, "host-trouble", Effects { host: Some(HOUR), ..Effects::default() })]).await;
    assert_eq!(events(world, "host-paused").await, [(None, "host-trouble".to_owned())]);
    assert_eq!(life.refusal(ask(3, 0, &[2])).await, Refusal::SenderPaused, "its owner's mailboxes there rest");
    assert!(matches!(answer_at(&life, 60, ask(3, 0, &[2])).await, Reservation::Reserved(_)));
    assert_eq!(world.standing(1).await.sending, "active", "the mailbox itself is not to blame");
}

pub async fn a_paused_domain_stops_its_mailboxes_and_no_others(world: &dyn LedgerWorld) {
    for (id, domain) in [(1, "one.test"), (2, "one.test"), (3, "other.test")] {
        world.enrol(id, 1, 5, domain, 127).await;
    }
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[3])).await;
    life.settle(&[refused(&flight, "dns", Effects { domain: Some(HOUR), ..Effects::default() })]).await;
    assert_eq!(life.refusal(ask(2, 0, &[3])).await, Refusal::DomainPaused);
    life.fly(ask(3, 0, &[2])).await;
}

pub async fn an_operators_pause_is_not_shortened(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    world.pause(1).await;
    life.settle(&[refused(&flight, "throttled", Effects { sender: Some(HOUR), ..Effects::default() })]).await;
    assert_eq!(answer_at(&life, 100_000, ask(1, 1, &[3])).await, Reservation::Refused(Refusal::SenderPaused));
}

/// I9: every event records a change, and every change has an event.
pub async fn what_changes_nothing_tells_nothing(world: &dyn LedgerWorld) {
    const MINUTE: Penalty = Penalty::Pause(Duration::from_secs(60));
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    let (one, two, three) =
        (life.fly(ask(1, 0, &[4])).await, life.fly(ask(2, 0, &[4])).await, life.fly(ask(3, 0, &[4])).await);
    world.pause(1).await;
    life.settle(&[refused(&one, "throttled", Effects { sender: Some(HOUR), ..Effects::default() })]).await;
    assert_eq!(world.standing(1).await.sending_reason.as_deref(), Some("operator"));
    assert_eq!(events(world, "sender-paused").await, []);
    let (long, short) = (
        Effects { partner: Some(HOUR), host: Some(HOUR), ..Effects::default() },
        Effects { partner: Some(MINUTE), host: Some(MINUTE), ..Effects::default() },
    );
    life.settle(&[refused(&two, "partner-full", long)]).await;
    life.settle(&[refused(&three, "greylisted", short)]).await;
    assert_eq!(world.standing(4).await.receive_reason.as_deref(), Some("partner-full"), "the longer one stays");
    assert_eq!(events(world, "partner-paused").await, [(Some(4), "partner-full".to_owned())]);
    assert_eq!(events(world, "host-paused").await, [(None, "partner-full".to_owned())]);
}

pub async fn a_late_answer_takes_its_measures(world: &dyn LedgerWorld) {
    enrol(world, 2, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    world.age(Duration::from_secs(61)).await;
    life.sweep(RunId(Uuid::now_v7()), vec![]).await;
    let effects = Effects { sender: Some(Penalty::Disable), ..Effects::default() };
    life.settle(&[refused(&flight, "auth-refused", effects)]).await;
    assert_eq!(world.standing(1).await.sending, "stopped");
    assert_eq!(events(world, "sender-disabled").await, [(Some(1), "auth-refused".to_owned())]);
    assert_true(world, 1, 0).await;
}

pub async fn a_mailbox_can_be_one_mails_sender_and_another_ones_partner(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let (one, two) = (life.fly(ask(1, 0, &[2])).await, life.fly(ask(2, 0, &[1])).await);
    let both = [
        refused(&one, "throttled", Effects { sender: Some(HOUR), ..Effects::default() }),
        refused(&two, "partner-full", Effects { partner: Some(HOUR), ..Effects::default() }),
    ];
    assert_eq!(life.settle(&both).await, 2);
    let standing = world.standing(1).await;
    assert_eq!((standing.sending.as_str(), standing.sending_reason.as_deref()), ("paused", Some("throttled")));
    assert_eq!((standing.receives, standing.receive_reason.as_deref()), (false, Some("partner-full")));
    assert_eq!(world.standing(2).await.sending, "active");
}

pub async fn a_cooldown_holds_until_its_end(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    let mut settlement = end(&flight, OutcomeKind::Sent);
    settlement.next_at = noon() + minutes(5);
    life.settle(&[settlement]).await;
    assert_eq!(answer_at(&life, 4, ask(1, 1, &[3])).await, Reservation::Refused(Refusal::NotCool));
    assert!(matches!(answer_at(&life, 5, ask(1, 1, &[3])).await, Reservation::Reserved(_)));
}
