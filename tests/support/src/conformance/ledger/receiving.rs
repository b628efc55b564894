//! These cases check the bound of received mails per day: the quota and a margin, for all senders together.

use std::sync::Arc;

use chrono::TimeDelta;
use warmup::{
    domain::{
        id::{MailboxId, ReplyId},
        outcome::OutcomeKind,
        reply::ReplyWindow,
        roster::{RECEIVE_MARGIN, receive_bound},
    },
    ports::{PartnerOption, Refusal, Reservation, ReserveRequest, Settlement},
};

use super::{LedgerWorld, Life, ask, end, noon, open_tomorrow};

/// The partner to which all mailboxes write, and its quota.
const PARTNER: i64 = 2;
const QUOTA: u16 = 1;

fn bound() -> u16 {
    u16::try_from(receive_bound(QUOTA)).unwrap()
}

/// Enrols the partner, and `senders` mailboxes from 11 on that could flood it.
async fn crowd(world: &dyn LedgerWorld, senders: i64) {
    world.enrol(PARTNER, 1, QUOTA, "partner.test", 127).await;
    world.enrol(3, 1, QUOTA, "other.test", 127).await;
    for sender in 11..11 + senders {
        world.enrol(sender, 1, 300, "senders.test", 127).await;
    }
}

/// Returns the n-th mail of a day to `partners`, which the pairs allow, because each has its own round.
fn nth(sender: i64, attempts: u16, partners: &[i64]) -> ReserveRequest {
    let choice = |partner: &i64| PartnerOption { partner: MailboxId(*partner), round: attempts as i16 };
    ReserveRequest { choices: partners.iter().map(choice).collect(), ..ask(sender, attempts, &[]) }
}

/// Sends `count` mails of sender 11 to the partner, from its `first` attempt on, each with this outcome.
async fn send(life: &Life<'_>, first: u16, count: u16, fate: OutcomeKind) {
    for attempts in first..first + count {
        let flight = life.fly(nth(11, attempts, &[PARTNER])).await;
        life.settle(&[end(&flight, fate)]).await;
    }
}

pub async fn a_mailbox_receives_its_quota_and_a_margin_and_no_more(world: &dyn LedgerWorld) {
    crowd(world, 2).await;
    let life = Life::begin(world).await;
    assert_eq!(bound(), QUOTA + RECEIVE_MARGIN);
    send(&life, 0, bound(), OutcomeKind::Sent).await;
    assert_eq!(life.refusal(nth(11, bound(), &[PARTNER])).await, Refusal::PartnersFull);
    assert_eq!(life.refusal(nth(12, 0, &[PARTNER])).await, Refusal::PartnersFull, "nor from anybody else");
    assert_eq!(life.refusal(nth(12, 0, &[12])).await, Refusal::NoPartner, "which is another matter");
    world.set_quota(PARTNER, QUOTA + 1).await;
    life.fly(nth(12, 0, &[PARTNER])).await;
}

pub async fn a_full_partner_is_passed_over(world: &dyn LedgerWorld) {
    crowd(world, 1).await;
    let life = Life::begin(world).await;
    send(&life, 0, bound() - 1, OutcomeKind::Sent).await;
    send(&life, bound() - 1, 1, OutcomeKind::Uncertain).await;
    let flight = life.fly(nth(11, bound(), &[PARTNER, 3])).await;
    assert_eq!(flight.recipient.mailbox, MailboxId(3));
}

pub async fn what_did_not_arrive_for_certain_is_given_back_to_its_partner(world: &dyn LedgerWorld) {
    crowd(world, 1).await;
    let life = Life::begin(world).await;
    send(&life, 0, bound() - 1, OutcomeKind::Sent).await;
    let last = bound() - 1;
    send(&life, last, 2, OutcomeKind::Refused).await;
    // Two refusals in a row pause it.
    world.resume(11).await;
    // None of these three mails is started, so each returns its attempt too.
    send(&life, last + 2, 1, OutcomeKind::Unstarted).await;
    let released = life.fly(nth(11, last + 2, &[PARTNER])).await;
    assert_eq!(life.ledger.release(life.run, &[released.message_id], noon()).await.unwrap(), 1);
    let abandoned = life.fly(nth(11, last + 2, &[PARTNER])).await;
    life.ledger.release(life.run, &[abandoned.message_id], noon()).await.unwrap();
    send(&life, last + 2, 1, OutcomeKind::Uncertain).await;
    assert_eq!(life.refusal(nth(11, last + 3, &[PARTNER])).await, Refusal::PartnersFull);
}

pub async fn of_one_batch_the_most_urgent_reach_a_partner(world: &dyn LedgerWorld) {
    crowd(world, 4).await;
    let life = Life::begin(world).await;
    send(&life, 0, bound() - 2, OutcomeKind::Sent).await;
    let asks = [14, 12, 13].map(|sender| nth(sender, 0, &[PARTNER]));
    let answers = life.reserve(asks.to_vec()).await;
    let reserved: Vec<bool> = answers.iter().map(|answer| matches!(answer, Reservation::Reserved(_))).collect();
    assert_eq!((reserved, &answers[2]), (vec![true, true, false], &Reservation::Refused(Refusal::PartnersFull)));
    assert_eq!((life.day(13).await.reserved, life.day(13).await.attempts), (0, 0), "nothing was changed");
}

pub async fn one_batch_alone_passes_no_bound(world: &dyn LedgerWorld) {
    let senders = i64::from(bound()) + 2;
    crowd(world, senders).await;
    let life = Life::begin(world).await;
    let answers = life.reserve((11..11 + senders).map(|sender| nth(sender, 0, &[PARTNER])).collect()).await;
    let reserved = answers.iter().filter(|answer| matches!(answer, Reservation::Reserved(_))).count();
    assert_eq!(reserved, usize::from(bound()));
}

pub async fn racers_for_a_partners_last_mail_pass_no_bound(world: &dyn LedgerWorld) {
    crowd(world, 10).await;
    let life = Life::begin(world).await;
    send(&life, 0, bound() - 1, OutcomeKind::Sent).await;
    let racer = |sender| {
        let (ledger, batch) = (Arc::clone(&life.ledger), life.batch(vec![nth(sender, 0, &[PARTNER])]));
        tokio::spawn(async move { ledger.reserve(&batch).await.unwrap().remove(0) })
    };
    let racers: Vec<_> = (12..=20).map(racer).collect();
    let mut won = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Reservation::Reserved(_) => won += 1,
            Reservation::Refused(refusal) => assert_eq!(refusal, Refusal::PartnersFull),
        }
    }
    assert_eq!(won, 1);
}

pub async fn a_partner_receives_anew_on_its_own_next_day(world: &dyn LedgerWorld) {
    crowd(world, 1).await;
    let life = Life::begin(world).await;
    send(&life, 0, bound(), OutcomeKind::Sent).await;
    let tomorrow = open_tomorrow(world).await;
    let ask = ReserveRequest { day: tomorrow.date_naive(), ..nth(11, 0, &[PARTNER]) };
    life.fly_at(tomorrow, ask).await;
}

pub async fn replies_are_not_counted_as_received(world: &dyn LedgerWorld) {
    crowd(world, 1).await;
    let life = Life::begin(world).await;
    send(&life, 0, bound() - 1, OutcomeKind::Sent).await;
    // The partner writes to 3, which answers: of these only the answer concerns the partner's received mails,
    // and it does not count.
    let flight = life.fly(nth(PARTNER, 0, &[3])).await;
    let due = ReplyWindow { at: noon(), until: noon() + TimeDelta::hours(3) };
    life.settle(&[Settlement { reply: Some(due), ..end(&flight, OutcomeKind::Sent) }]).await;
    let answer = ReserveRequest { answers: Some(ReplyId(flight.id.0)), ..nth(3, 0, &[PARTNER]) };
    let reply = life.fly(answer).await;
    life.settle(&[end(&reply, OutcomeKind::Sent)]).await;
    send(&life, bound() - 1, 1, OutcomeKind::Sent).await;
    assert_eq!(life.refusal(nth(11, bound(), &[PARTNER])).await, Refusal::PartnersFull);
}
