//! Mailboxes that are not verified take nothing from other owners, however many they are.

use std::collections::BTreeSet;

use warmup::{
    domain::{
        id::{MailboxId, UserId},
        ramp::Ramp,
    },
    simulation::{MemoryDatabase, MemoryMailbox},
};

use crate::{
    fleet::{Scenario, mailbox, simulate},
    one_day::{assert_true_numbers, calm},
};

const VERIFIED: i64 = 24;
const QUOTA: u16 = 30;

/// So many that hardly any partner in the roster is verified. Each owes one mail.
fn enrol_many_unverified(world: &MemoryDatabase) {
    for id in 1_001..=2_500 {
        let ramp = Ramp { start: 1, step: 0, daily_max: 1 };
        world.enrol(MemoryMailbox { user: UserId(99), ramp, ..mailbox(id, 1) });
        world.set_verified(MailboxId(id), false);
    }
}

#[test]
fn many_unverified_mailboxes_of_one_owner_leave_the_others_their_partners_and_their_quotas() {
    let day = simulate(&Scenario { mailboxes: VERIFIED, orders: vec![(1, enrol_many_unverified)], ..calm(4) });
    assert_true_numbers(&day);
    let is_verified = |id: MailboxId| id.0 <= VERIFIED;
    let crossed = day.logs.iter().filter(|(_, row)| is_verified(row.mailbox) != is_verified(row.partner)).count();
    assert_eq!(crossed, 0);
    let short: Vec<_> = day.days.iter().filter(|(id, row)| is_verified(*id) && row.sent < QUOTA).collect();
    assert!(short.is_empty(), "{short:?}");
    let apart: BTreeSet<MailboxId> =
        day.logs.iter().filter(|(_, row)| !is_verified(row.mailbox)).map(|(_, row)| row.mailbox).collect();
    assert_eq!(apart.len(), 1_500, "they write to one another");
}
