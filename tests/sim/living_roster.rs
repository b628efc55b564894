//! The roster follows the mailboxes that can receive, whatever an operator does during the day.

use std::collections::BTreeMap;

use warmup::{
    domain::{id::MailboxId, roster::receive_bound},
    simulation::{MemoryDatabase, database::MailboxState},
};

use crate::{
    fleet::{Day, Order, Scenario, mailbox, simulate},
    one_day::{assert_true_numbers, calm},
};

const QUOTA: u16 = 30;

/// The mails that each mailbox received.
fn received(day: &Day) -> BTreeMap<MailboxId, u32> {
    let mut received = BTreeMap::new();
    for (_, row) in day.logs.iter().filter(|(_, row)| row.status == "SENT") {
        *received.entry(row.partner).or_insert(0) += 1;
    }
    received
}

fn assert_nobody_is_flooded(day: &Day) {
    let flooded: Vec<_> = received(day).into_iter().filter(|(_, mails)| *mails > receive_bound(QUOTA)).collect();
    assert!(flooded.is_empty(), "more than {}: {flooded:?}", receive_bound(QUOTA));
}

fn set_all(world: &MemoryDatabase, ids: std::ops::RangeInclusive<i64>, sending: MailboxState) {
    ids.for_each(|id| world.change(MailboxId(id), |mailbox| mailbox.sending = sending.clone()));
}

fn paused() -> MailboxState {
    MailboxState::Stopped { reason: "operator".into(), by_operator: true }
}

#[test]
fn mailboxes_that_are_imported_after_the_first_tick_share_the_day_s_mails() {
    let import = |world: &MemoryDatabase| (3..=48).for_each(|n| world.enrol(mailbox(n, QUOTA)));
    let day = simulate(&Scenario { mailboxes: 2, orders: vec![(40 * 60, import)], ..calm(1) });
    assert_true_numbers(&day);
    assert_nobody_is_flooded(&day);
    let recipients = received(&day).len();
    assert!(recipients >= 46, "{recipients} recipients of {} mails", day.logs.len());
    assert!(day.days.iter().all(|(_, row)| row.sent == QUOTA), "{:?}", day.days);
}

#[test]
fn a_mailbox_that_is_resumed_before_all_others_is_not_flooded() {
    let orders: Vec<(i64, Order)> = vec![
        (60 * 60, |world| set_all(world, 1..=48, paused())),
        (100 * 60, |world| set_all(world, 7..=7, MailboxState::Active)),
        (120 * 60, |world| set_all(world, 1..=48, MailboxState::Active)),
    ];
    let day = simulate(&Scenario { orders, ..calm(2) });
    assert_true_numbers(&day);
    assert_nobody_is_flooded(&day);
    assert_eq!(received(&day).len(), 48);
    assert!(day.days.iter().all(|(_, row)| row.sent == QUOTA), "{:?}", day.days);
}

#[test]
fn two_that_are_left_of_many_do_not_flood_each_other() {
    let pause: Order = |world| set_all(world, 3..=48, paused());
    let day = simulate(&Scenario { orders: vec![(150 * 60, pause)], ..calm(3) });
    assert_true_numbers(&day);
    assert_nobody_is_flooded(&day);
}
