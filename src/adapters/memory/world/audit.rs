//! The invariants that hold at every moment, looked at in all tables.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Tables;
use crate::domain::id::MailboxId;

#[derive(Default)]
struct Rows {
    sent: u16,
    failed: u16,
    uncertain: u16,
    in_flight: u16,
}

pub(super) fn violations(tables: &Tables) -> Vec<String> {
    let mut rows: BTreeMap<(MailboxId, NaiveDate), Rows> = BTreeMap::new();
    for row in tables.logs.values() {
        let counts = rows.entry((row.mailbox, row.day)).or_default();
        match (row.status, row.reason.as_deref()) {
            ("SENT", _) => counts.sent += 1,
            (_, Some("uncertain")) => counts.uncertain += 1,
            _ => counts.failed += 1,
        }
    }
    for flight in tables.flights.values() {
        rows.entry((flight.mailbox, flight.day)).or_default().in_flight += 1;
    }
    let mut violations = Vec::new();
    for ((mailbox, day), row) in &tables.days {
        let counts = rows.remove(&(*mailbox, *day)).unwrap_or_default();
        let mut check = |holds: bool, sentence: &str| {
            if !holds {
                violations.push(format!("mailbox {mailbox} on {day}: {sentence} {row:?}"));
            }
        };
        check(
            row.reserved == counts.sent + counts.uncertain + counts.in_flight,
            "reserved = sent + uncertain + in flight",
        );
        check(row.reserved <= row.quota.max(row.sent + row.uncertain), "never more than the quota");
        check(row.sent == counts.sent, "the counter of sent is the count of its rows");
        check(row.failed == counts.failed, "the counter of failed is the count of its rows");
        check(row.uncertain == counts.uncertain, "the counter of uncertain is the count of its rows");
        check(counts.in_flight <= 1, "at most one mail of a mailbox is on its way");
    }
    violations.extend(rows.keys().map(|(mailbox, day)| format!("mailbox {mailbox} has rows on {day} but no day")));
    let logged_twice = tables.flights.keys().filter(|flight| tables.logs.contains_key(flight));
    violations.extend(logged_twice.map(|flight| format!("flight {flight} is on its way and in the log")));
    violations
}
