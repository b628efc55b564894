//! These cases check that the replies of one owner's host change nothing of another owner.

use std::time::Duration;

use warmup::{
    domain::{
        outcome::{Effects, OutcomeKind, Penalty},
        time::LocalDates,
    },
    ports::{Flight, Refusal, Reservation, Settlement},
};

use super::{LedgerWorld, Life, SHARD, ask, end, minutes, noon};

const HOUR: Penalty = Penalty::Pause(Duration::from_secs(3600));
const LIAR: &str = "liar.test";

/// Enrols mailboxes 1 and 2 of user 1 on their own host, and mailbox 3 of user 3 on a third host. Mailboxes 11
/// to 20 belong to user 2 and use the default host.
async fn owners(world: &dyn LedgerWorld) -> Life<'_> {
    for (id, user, host) in [(1, 1, LIAR), (2, 1, LIAR), (3, 3, "third.test")] {
        world.enrol(id, user, 20, &format!("u{user}.test"), 127).await;
        world.set_host(id, host).await;
    }
    for id in 11..=20 {
        world.enrol(id, 2, 20, "victim.test", 127).await;
    }
    Life::begin(world).await
}

fn refused(flight: &Flight, measure: Penalty) -> Settlement {
    let mut settlement = end(flight, OutcomeKind::Refused);
    settlement.outcome.reason = "partner-unknown";
    settlement.outcome.effects = Effects { partner: Some(measure), ..Effects::default() };
    settlement
}

async fn refuse(life: &Life<'_>, sender: i64, attempts: u16, partner: i64, measure: Penalty) {
    let flight = life.fly(ask(sender, attempts, &[partner])).await;
    life.settle(&[refused(&flight, measure)]).await;
}

async fn told(world: &dyn LedgerWorld, kind: &str) -> Vec<(Option<i64>, String)> {
    let all = world.events().await;
    all.into_iter().filter(|(of, ..)| of == kind).map(|(_, mailbox, reason)| (mailbox, reason)).collect()
}

async fn answer_at(life: &Life<'_>, later: i64, asked: warmup::ports::ReserveRequest) -> Reservation {
    life.ledger.reserve(&life.batch_at(noon() + minutes(later), vec![asked])).await.unwrap().remove(0)
}

/// Returns true if the partner receives from no mailbox.
async fn is_excluded(world: &dyn LedgerWorld, partner: i64) -> bool {
    !world.standing(partner).await.receives
}

pub async fn a_foreign_hosts_word_about_a_partner_concerns_their_pair_alone(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    refuse(&life, 1, 0, 11, Penalty::Disable).await;
    assert!(!is_excluded(world, 11).await);
    assert_eq!(told(world, "partner-excluded").await, []);
    assert_eq!(told(world, "partner-avoided").await, [(None, "partner-unknown".to_owned())], "it names no mailbox");
    assert_eq!(life.refusal(ask(1, 1, &[11])).await, Refusal::NoPartner);
    assert_eq!(life.refusal(ask(2, 0, &[11])).await, Refusal::NoPartner, "nor does another mailbox of that host");
    assert_eq!(life.fly(ask(2, 0, &[11, 12])).await.recipient.mailbox.0, 12);
    life.fly(ask(3, 0, &[11])).await;
    life.fly(ask(12, 0, &[11])).await;
}

pub async fn a_pair_is_avoided_for_as_long_as_the_host_says(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    refuse(&life, 1, 0, 11, HOUR).await;
    assert_eq!(answer_at(&life, 59, ask(2, 0, &[11])).await, Reservation::Refused(Refusal::NoPartner));
    assert!(matches!(answer_at(&life, 60, ask(2, 0, &[11])).await, Reservation::Reserved(_)));
}

pub async fn a_partners_own_host_is_believed(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    world.set_host(11, LIAR).await;
    refuse(&life, 1, 0, 11, Penalty::Disable).await;
    assert!(is_excluded(world, 11).await);
    assert_eq!(told(world, "partner-excluded").await, [(Some(11), "partner-unknown".to_owned())]);
}

pub async fn the_hosts_of_two_owners_are_believed_and_two_of_one_owner_are_not(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    world.set_host(2, "second.liar.test").await;
    refuse(&life, 1, 0, 11, Penalty::Disable).await;
    refuse(&life, 2, 0, 11, Penalty::Disable).await;
    assert!(!is_excluded(world, 11).await, "one owner can have many hosts");
    refuse(&life, 3, 0, 11, Penalty::Disable).await;
    assert!(is_excluded(world, 11).await);
    assert_eq!(life.refusal(ask(12, 0, &[11])).await, Refusal::NoPartner);
}

pub async fn what_two_owners_hosts_say_counts_for_as_long_as_both_say_it(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    refuse(&life, 1, 0, 11, Penalty::Disable).await;
    refuse(&life, 3, 0, 11, HOUR).await;
    assert_eq!(told(world, "partner-paused").await, [(Some(11), "partner-unknown".to_owned())]);
    assert_eq!(answer_at(&life, 59, ask(12, 0, &[11])).await, Reservation::Refused(Refusal::NoPartner));
    assert!(matches!(answer_at(&life, 60, ask(12, 0, &[11])).await, Reservation::Reserved(_)));
}

pub async fn two_owners_in_one_settle_are_believed(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    let flights = [life.fly(ask(1, 0, &[11])).await, life.fly(ask(3, 0, &[11])).await];
    life.settle(&flights.iter().map(|flight| refused(flight, Penalty::Disable)).collect::<Vec<_>>()).await;
    assert!(is_excluded(world, 11).await);
}

pub async fn what_passes_within_the_hour_concerns_the_pair_alone(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    refuse(&life, 12, 0, 11, Penalty::Pause(Duration::from_mins(5))).await;
    assert!(!is_excluded(world, 11).await, "even its own host says it of that sender");
    assert_eq!(answer_at(&life, 4, ask(13, 0, &[11])).await, Reservation::Refused(Refusal::NoPartner));
    life.fly(ask(3, 0, &[11])).await;
    assert!(matches!(answer_at(&life, 5, ask(13, 0, &[11])).await, Reservation::Reserved(_)));
    let passing: Vec<_> = world.events().await.into_iter().filter(|(kind, ..)| kind.starts_with("partner-")).collect();
    assert_eq!(passing, []);
}

pub async fn what_we_find_ourselves_is_believed(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    let mut finding = refused(&life.fly(ask(1, 0, &[11])).await, Penalty::Disable);
    finding.outcome.reply = None;
    life.settle(&[finding]).await;
    assert!(is_excluded(world, 11).await);
    assert_eq!(told(world, "partner-avoided").await, []);
}

pub async fn a_host_that_refuses_most_of_its_partners_rests_for_its_owner(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    world.set_host(3, LIAR).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
    for partner in 11..=14 {
        refuse(&life, 1, (partner - 10) as u16, partner, Penalty::Disable).await;
    }
    assert_eq!(told(world, "host-suspected").await, [], "four may be chance");
    refuse(&life, 1, 5, 15, Penalty::Disable).await;
    assert_eq!(told(world, "host-suspected").await, [(None, "refuses-partners".to_owned())]);
    for sender in [1, 2] {
        let attempts = world.day(sender, super::DAY).await.attempts as u16;
        assert_eq!(life.refusal(ask(sender, attempts, &[20])).await, Refusal::SenderPaused);
    }
    let candidates = world.mailboxes().candidates(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap();
    assert!(candidates.iter().all(|candidate| candidate.user.0 != 1));
    life.fly(ask(3, 0, &[11, 16])).await;
    life.fly(ask(12, 0, &[11])).await;
    assert_eq!(answer_at(&life, 59, ask(2, 0, &[20])).await, Reservation::Refused(Refusal::SenderPaused));
    assert!(matches!(answer_at(&life, 60, ask(2, 0, &[20])).await, Reservation::Reserved(_)));
}

pub async fn a_host_that_takes_most_mails_is_no_suspect(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    for partner in 11..=15 {
        let attempts = 2 * (partner - 11) as u16;
        let flight = life.fly(ask(1, attempts, &[partner + 5])).await;
        life.settle(&[end(&flight, OutcomeKind::Sent)]).await;
        refuse(&life, 1, attempts + 1, partner, Penalty::Disable).await;
    }
    assert_eq!(told(world, "host-suspected").await, []);
    life.fly(ask(2, 0, &[20])).await;
}

pub async fn a_domain_rests_for_its_owner_alone(world: &dyn LedgerWorld) {
    for (id, user) in [(1, 1), (2, 1), (3, 2)] {
        world.enrol(id, user, 5, "shared.test", 127).await;
    }
    let life = Life::begin(world).await;
    let mut forged = end(&life.fly(ask(1, 0, &[3])).await, OutcomeKind::Refused);
    forged.outcome.reason = "domain-unauthenticated";
    forged.outcome.effects = Effects { domain: Some(HOUR), ..Effects::default() };
    life.settle(&[forged]).await;
    assert_eq!(told(world, "domain-paused").await, [(None, "domain-unauthenticated".to_owned())]);
    assert_eq!(life.refusal(ask(2, 0, &[3])).await, Refusal::DomainPaused);
    life.fly(ask(3, 0, &[2])).await;
    let later = noon() + minutes(59);
    let candidates = world.mailboxes().candidates(&[SHARD], &LocalDates::at(later), later).await.unwrap();
    assert_eq!(candidates.iter().map(|candidate| candidate.id.0).collect::<Vec<_>>(), [3]);
    assert!(matches!(answer_at(&life, 60, ask(2, 0, &[3])).await, Reservation::Reserved(_)));
}

pub async fn a_mailbox_that_is_not_verified_exchanges_mails_with_its_owner_alone(world: &dyn LedgerWorld) {
    let life = owners(world).await;
    world.set_verified(11, false).await;
    assert_eq!(life.refusal(ask(1, 0, &[11])).await, Refusal::NoPartner);
    assert_eq!(life.fly(ask(1, 0, &[11, 13])).await.recipient.mailbox.0, 13);
    life.fly(ask(12, 0, &[11])).await;
    assert_eq!(life.refusal(ask(11, 0, &[3])).await, Refusal::NoPartner);
    assert_eq!(life.fly(ask(11, 0, &[3, 13])).await.recipient.mailbox.0, 13);
    world.set_verified(11, true).await;
    life.fly(ask(3, 0, &[11])).await;
}
