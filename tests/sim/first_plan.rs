//! What an operator enrols, switches on or resumes is planned at once, not at the next tick.

use chrono::{DateTime, TimeDelta, Utc};
use warmup::{
    domain::id::MailboxId,
    simulation::{MemoryDatabase, database::MailboxState},
};

use crate::{
    fleet::{Day, Order, Scenario, mailbox, simulate},
    one_day::{assert_true_numbers, calm},
};

const QUOTA: u16 = 30;

/// 09:21, six minutes after a tick and nine before the next.
const BETWEEN_TICKS: i64 = 36 * 60;

/// A heartbeat of 5 s, a batch, and the first token of a user's hour, whose bucket is cold: 3605 s / 475.
const AT_ONCE: i64 = 14;

fn reserved(day: &Day, from: i64, to: i64) -> usize {
    let at = |second| -> DateTime<Utc> { day.begins + TimeDelta::seconds(second) };
    day.reserved.iter().filter(|(when, ..)| (at(from)..at(to)).contains(when)).count()
}

#[test]
fn the_first_mail_after_an_import_waits_for_no_tick() {
    let import: Order = |world| (1..=46).for_each(|n| world.enrol(mailbox(n, QUOTA)));
    let day = simulate(&Scenario { mailboxes: 0, orders: vec![(BETWEEN_TICKS, import)], ..calm(1) });
    assert_true_numbers(&day);
    assert!(reserved(&day, BETWEEN_TICKS, BETWEEN_TICKS + AT_ONCE) > 0);
    let before_the_tick = reserved(&day, BETWEEN_TICKS, BETWEEN_TICKS + 9 * 60);
    assert!(before_the_tick >= 35, "spread over ten minutes: {before_the_tick}");
    assert!(day.days.iter().all(|(_, row)| row.sent == QUOTA), "{:?}", day.days);
}

#[test]
fn a_resumed_mailbox_sends_at_once() {
    fn set(world: &MemoryDatabase, sending: MailboxState) {
        (1..=48).for_each(|id| world.change(MailboxId(id), |mailbox| mailbox.sending = sending.clone()));
    }
    let pause: fn(&MemoryDatabase) =
        |world| set(world, MailboxState::Stopped { reason: "operator".into(), by_operator: true });
    let resume: Order = |world| set(world, MailboxState::Active);
    let day = simulate(&Scenario { orders: vec![(60 * 60, pause), (126 * 60, resume)], ..calm(2) });
    assert_true_numbers(&day);
    assert_eq!(reserved(&day, 63 * 60, 126 * 60), 0);
    assert!(reserved(&day, 126 * 60, 126 * 60 + AT_ONCE) > 0);
}

#[test]
fn nobody_waits_because_others_are_planned_again_and_again() {
    let again: Order = |world| (1..=48).for_each(|id| world.change(MailboxId(id), |_| {}));
    let orders = (0..7_200).step_by(5).map(|second| (1_000 + second, again)).collect();
    let (busy, calm) = (simulate(&Scenario { orders, ..calm(3) }), simulate(&calm(3)));
    assert_true_numbers(&busy);
    let (sent, sent_in_peace) = (reserved(&busy, 0, 8_200), reserved(&calm, 0, 8_200));
    assert!(sent * 10 >= sent_in_peace * 9, "{sent} of {sent_in_peace} mails");
    assert!(busy.days.iter().all(|(_, row)| row.sent == QUOTA), "{:?}", busy.days);
}
