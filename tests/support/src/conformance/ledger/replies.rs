//! These cases check replies: one per thread, by the partner, through the usual reserve and settle, without
//! using the quota.

use chrono::{DateTime, TimeDelta, Utc};
use warmup::{
    domain::{
        id::{MailboxId, ReplyId},
        outcome::OutcomeKind,
        reply::{DueReply, ReplyWindow},
    },
    ports::{Flight, PartnerOption, Refusal, Reservation, ReserveRequest, Settlement},
};

use super::{DAY, LedgerWorld, Life, ReplyLine, SHARD, ask, assert_true, end, enrol, minutes, noon};

/// Returns a window of three hours from noon on.
fn due() -> Option<ReplyWindow> {
    Some(ReplyWindow { at: noon(), until: noon() + TimeDelta::hours(3) })
}

fn answered(flight: &Flight) -> Settlement {
    Settlement { reply: due(), ..end(flight, OutcomeKind::Sent) }
}

/// Returns the request for the answer of `mailbox` to a mail of `partner`.
pub(super) fn answer(reply: i64, mailbox: i64, partner: i64) -> ReserveRequest {
    ReserveRequest {
        choices: vec![PartnerOption { partner: MailboxId(partner), round: 0 }],
        answers: Some(ReplyId(reply)),
        subject: "Re: Notes from this morning".into(),
        ..ask(mailbox, 0, &[])
    }
}

/// Sends a mail from 1 to 2 that will be answered, and returns its flight.
pub(super) async fn written(life: &Life<'_>) -> Flight {
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[answered(&flight)]).await;
    flight
}

async fn listed(world: &dyn LedgerWorld, now: DateTime<Utc>, before: DateTime<Utc>) -> Vec<DueReply> {
    world.mailboxes().due_replies(&[SHARD], now, before).await.unwrap()
}

pub(super) async fn only(world: &dyn LedgerWorld) -> ReplyLine {
    let mut replies = world.replies().await;
    assert_eq!(replies.len(), 1, "{replies:?}");
    replies.remove(0)
}

pub async fn a_sent_mail_schedules_the_reply_that_was_asked_for(world: &dyn LedgerWorld) {
    enrol(world, 3, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    let trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    life.settle(&[Settlement { trace: trace.clone(), ..answered(&flight) }]).await;
    let silent = life.fly(ask(3, 0, &[2])).await;
    life.settle(&[end(&silent, OutcomeKind::Sent)]).await;
    let reply = listed(world, noon(), noon() + minutes(1)).await.remove(0);
    assert_eq!((reply.id.0, reply.mailbox, reply.partner), (flight.id.0, MailboxId(2), MailboxId(1)));
    assert_eq!((reply.message_id, reply.subject, reply.trace), (flight.message_id, flight.subject, trace));
    assert_eq!((reply.due, &*reply.domain, reply.shard), (due().unwrap(), "d2.test", SHARD));
    assert!(listed(world, noon(), noon()).await.is_empty(), "not due before noon");
    only(world).await;
}

pub async fn a_mail_that_did_not_arrive_is_not_answered(world: &dyn LedgerWorld) {
    enrol(world, 4, 5).await;
    let life = Life::begin(world).await;
    for (mailbox, fate) in [(1, OutcomeKind::Refused), (2, OutcomeKind::Uncertain), (3, OutcomeKind::Unstarted)] {
        let flight = life.fly(ask(mailbox, 0, &[4])).await;
        life.settle(&[Settlement { reply: due(), ..end(&flight, fate) }]).await;
    }
    assert!(world.replies().await.is_empty());
}

pub async fn a_mail_that_is_known_late_to_have_arrived_is_answered(world: &dyn LedgerWorld) {
    enrol(world, 2, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    life.settle(&[end(&flight, OutcomeKind::Uncertain)]).await;
    life.settle(&[answered(&flight)]).await;
    life.settle(&[answered(&flight)]).await;
    let reply = listed(world, noon(), noon() + minutes(1)).await.remove(0);
    assert_eq!((reply.message_id, reply.subject), (flight.message_id, flight.subject));
}

pub async fn a_reply_is_one_row_and_takes_no_place_and_no_pair(world: &dyn LedgerWorld) {
    enrol(world, 2, 1).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    // Its quota is full, and its own pair with this partner is used.
    let own = life.fly(ask(2, 0, &[1])).await;
    life.settle(&[end(&own, OutcomeKind::Sent)]).await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    assert_eq!((reply.answers, reply.recipient.mailbox), (Some(ReplyId(mail.id.0)), MailboxId(1)));
    assert_eq!(only(world).await.state, "claimed");
    life.settle(&[answered(&reply)]).await;
    let day = life.day(2).await;
    assert_eq!((day.reserved, day.sent, day.replied, day.attempts, day.reply_attempts), (1, 1, 1, 1, 1));
    let row = world.logs().await.pop().unwrap();
    assert_eq!((row.status.as_str(), row.reason, row.answers), ("REPLIED", None, Some(mail.id.0)));
    assert_eq!(world.pairs().await, [(1, 2, 0), (2, 1, 0)]);
    assert_eq!(only(world).await.state, "sent", "and no answer to an answer");
    assert_true(world, 2, 0).await;
}

pub async fn a_thread_is_answered_once(world: &dyn LedgerWorld) {
    enrol(world, 2, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    assert_eq!(life.refusal(answer(mail.id.0, 2, 1)).await, Refusal::NotCool);
    life.settle(&[end(&reply, OutcomeKind::Sent)]).await;
    assert_eq!(life.refusal(answer(mail.id.0, 2, 1)).await, Refusal::Stale);
    assert!(listed(world, noon(), noon() + minutes(1)).await.is_empty());
}

pub async fn a_reply_that_failed_is_a_failed_row_and_is_not_repeated(world: &dyn LedgerWorld) {
    enrol(world, 2, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    life.settle(&[end(&reply, OutcomeKind::Refused)]).await;
    let day = life.day(2).await;
    assert_eq!((day.reserved, day.failed, day.uncertain, day.replied), (0, 1, 0, 0));
    let line = only(world).await;
    assert_eq!((line.state.as_str(), line.reason.as_deref()), ("failed", Some("message-refused")));
    assert_eq!(life.refusal(answer(mail.id.0, 2, 1)).await, Refusal::Stale);
    assert_true(world, 2, 0).await;
}

pub async fn an_uncertain_reply_counts_as_failed_until_it_is_known(world: &dyn LedgerWorld) {
    enrol(world, 3, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    life.settle(&[end(&reply, OutcomeKind::Uncertain)]).await;
    let day = life.day(2).await;
    assert_eq!((day.reserved, day.failed, day.uncertain, day.replied), (0, 1, 0, 0));
    assert_eq!(only(world).await.reason.as_deref(), Some("uncertain"));
    assert_true(world, 2, 0).await;
    life.settle(&[end(&reply, OutcomeKind::Sent)]).await;
    let day = life.day(2).await;
    assert_eq!((day.reserved, day.failed, day.uncertain, day.replied), (0, 0, 0, 1));
    let line = only(world).await;
    assert_eq!((line.state.as_str(), line.reason), ("sent", None));
    assert_true(world, 2, 0).await;
}

pub async fn a_late_refusal_of_a_reply_is_a_failed_one_still(world: &dyn LedgerWorld) {
    enrol(world, 2, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    life.settle(&[end(&reply, OutcomeKind::Uncertain)]).await;
    life.settle(&[end(&reply, OutcomeKind::Refused)]).await;
    let day = life.day(2).await;
    assert_eq!((day.reserved, day.failed, day.replied), (0, 1, 0));
    assert_eq!(only(world).await.reason.as_deref(), Some("message-refused"));
    assert_true(world, 2, 0).await;
}

pub async fn a_reply_that_was_never_started_waits_again(world: &dyn LedgerWorld) {
    enrol(world, 2, 2).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    let own = life.fly(ask(2, 0, &[1])).await;
    life.settle(&[end(&own, OutcomeKind::Sent)]).await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    life.ledger.release(life.run, &[reply.message_id], noon()).await.unwrap();
    assert_eq!((life.day(2).await.reply_attempts, only(world).await.state.as_str()), (0, "waiting"));
    assert_eq!(world.pairs().await, [(1, 2, 0), (2, 1, 0)], "its pair is a mail's");
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    life.ledger.release(life.run, std::slice::from_ref(&reply.message_id), noon()).await.unwrap();
    assert_eq!(only(world).await.state, "waiting");
}

pub async fn an_orphaned_reply_is_uncertain_and_not_repeated(world: &dyn LedgerWorld) {
    enrol(world, 2, 2).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    life.fly(answer(mail.id.0, 2, 1)).await;
    world.age(std::time::Duration::from_secs(100)).await;
    let heir = Life::begin(world).await;
    let swept = heir.ledger.sweep(&heir.sweep_of(heir.run, vec![])).await.unwrap();
    assert_eq!((swept.uncertain, swept.released), (1, 0));
    let line = only(world).await;
    assert_eq!((line.state.as_str(), line.reason.as_deref()), ("failed", Some("uncertain")));
    assert_eq!(heir.refusal(answer(mail.id.0, 2, 1)).await, Refusal::Stale);
    assert_true(world, 2, 0).await;
}

pub async fn half_the_quota_is_answered_a_day(world: &dyn LedgerWorld) {
    enrol(world, 5, 3).await;
    let life = Life::begin(world).await;
    let mut mails = Vec::new();
    for mailbox in [2, 3, 4] {
        let flight = life.fly(ask(mailbox, 0, &[1])).await;
        life.settle(&[answered(&flight)]).await;
        mails.push((flight.id.0, mailbox));
    }
    for (mail, partner) in &mails[..2] {
        let reply = life.fly(answer(*mail, 1, *partner)).await;
        life.settle(&[end(&reply, OutcomeKind::Sent)]).await;
    }
    assert_eq!(life.refusal(answer(mails[2].0, 1, 4)).await, Refusal::QuotaFull);
    let last = world.replies().await.pop().unwrap();
    assert_eq!((last.state.as_str(), last.reason.as_deref()), ("lapsed", Some("reply-limit")));
    // The quota itself is unchanged.
    life.fly(ask(1, 0, &[2])).await;
}

pub async fn a_paused_mailbox_lets_its_reply_lapse(world: &dyn LedgerWorld) {
    enrol(world, 2, 2).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    world.pause(2).await;
    assert_eq!(life.refusal(answer(mail.id.0, 2, 1)).await, Refusal::SenderPaused);
    let line = only(world).await;
    assert_eq!((line.state.as_str(), line.reason.as_deref()), ("lapsed", Some("sender-paused")));
}

pub async fn nobody_answers_a_mailbox_that_can_not_be_written_to(world: &dyn LedgerWorld) {
    enrol(world, 2, 2).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    world.pause(1).await;
    assert_eq!(life.refusal(answer(mail.id.0, 2, 1)).await, Refusal::NoPartner);
    assert_eq!(only(world).await.reason.as_deref(), Some("no-partner"));
}

pub async fn a_reply_goes_neither_early_nor_late(world: &dyn LedgerWorld) {
    enrol(world, 2, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    let late = noon() + TimeDelta::hours(3);
    let answers =
        life.ledger.reserve(&life.batch_at(noon() - minutes(1), vec![answer(mail.id.0, 2, 1)])).await.unwrap();
    assert_eq!(answers, [Reservation::Refused(Refusal::Stale)]);
    let answers = life.ledger.reserve(&life.batch_at(late, vec![answer(mail.id.0, 2, 1)])).await.unwrap();
    assert_eq!(answers, [Reservation::Refused(Refusal::Stale)]);
    assert_eq!(only(world).await.state, "waiting");
    assert!(listed(world, late, late + minutes(15)).await.is_empty());
    let line = only(world).await;
    assert_eq!((line.state.as_str(), line.reason.as_deref()), ("lapsed", Some("late")));
}

pub async fn a_stopped_fleet_answers_nothing_and_lapses_nothing(world: &dyn LedgerWorld) {
    enrol(world, 2, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    world.order(false).await;
    assert_eq!(life.refusal(answer(mail.id.0, 2, 1)).await, Refusal::FleetStopped);
    assert_eq!(only(world).await.state, "waiting");
}

pub async fn a_mailbox_cools_down_between_mails_and_replies(world: &dyn LedgerWorld) {
    enrol(world, 2, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    assert_eq!(life.refusal(ask(2, 0, &[1])).await, Refusal::NotCool, "one on its way");
    life.settle(&[Settlement { next_at: noon() + minutes(5), ..end(&reply, OutcomeKind::Sent) }]).await;
    assert_eq!(life.refusal(ask(2, 0, &[1])).await, Refusal::NotCool);
    life.fly_at(noon() + minutes(5), ask(2, 0, &[1])).await;
}

pub async fn a_reply_has_its_place_in_the_users_daily_limit(world: &dyn LedgerWorld) {
    world.enrol(1, 1, 6, "a.test", 127).await;
    world.enrol(2, 2, 6, "b.test", 127).await;
    // The limit is multiplied by 1.5.
    world.limit(2, 1).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    life.ledger.release(life.run, &[reply.message_id], noon()).await.unwrap();
    let reply = life.fly(answer(mail.id.0, 2, 1)).await;
    life.settle(&[end(&reply, OutcomeKind::Sent)]).await;
    assert_eq!(life.refusal(ask(2, 0, &[1])).await, Refusal::UserDailyLimit);
}

pub async fn one_of_many_racers_claims_a_thread(world: &dyn LedgerWorld) {
    enrol(world, 2, 6).await;
    let life = Life::begin(world).await;
    let mail = written(&life).await;
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (ledger, batch) = (life.ledger.clone(), life.batch(vec![answer(mail.id.0, 2, 1)]));
            tokio::spawn(async move { ledger.reserve(&batch).await.unwrap().remove(0) })
        })
        .collect();
    let mut reserved = 0;
    for racer in racers {
        reserved += usize::from(matches!(racer.await.unwrap(), Reservation::Reserved(_)));
    }
    assert_eq!((reserved, world.in_flight().await), (1, 1));
    assert_eq!(world.day(2, DAY).await.reply_attempts, 1);
}
