//! `violations` checks the invariants that hold at every moment, in all tables.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Tables;
use crate::domain::id::{MailboxId, ReplyId};

#[derive(Default)]
struct Rows {
    sent: u16,
    replied: u16,
    failed: u16,
    uncertain: u16,
    in_flight: u16,
    replies_in_flight: u16,
}

/// Returns the threads with another number of replies, in flight or in the log, than their state requires: one or none.
fn broken_threads(tables: &Tables) -> Vec<String> {
    let mut answers: BTreeMap<ReplyId, (usize, usize)> = BTreeMap::new();
    tables.flights.values().filter_map(|flight| flight.answers).for_each(|id| answers.entry(id).or_default().0 += 1);
    tables.logs.values().filter_map(|row| row.answers).for_each(|id| answers.entry(id).or_default().1 += 1);
    let broken = tables.replies.iter().filter_map(|(id, row)| {
        let found = answers.get(id).copied().unwrap_or_default();
        let wanted = match row.state {
            "claimed" => (1, 0),
            "sent" | "failed" => (0, 1),
            _ => (0, 0),
        };
        (found != wanted).then(|| format!("reply {id} is {} with (on its way, in the log) = {found:?}", row.state))
    });
    broken.collect()
}

pub(super) fn violations(tables: &Tables) -> Vec<String> {
    let mut rows: BTreeMap<(MailboxId, NaiveDate), Rows> = BTreeMap::new();
    for row in tables.logs.values() {
        let counts = rows.entry((row.mailbox, row.day)).or_default();
        match (row.status, row.reason.as_deref()) {
            ("SENT", _) => counts.sent += 1,
            ("REPLIED", _) => counts.replied += 1,
            (_, Some("uncertain")) if row.answers.is_none() => counts.uncertain += 1,
            _ => counts.failed += 1,
        }
    }
    for flight in tables.flights.values() {
        let counts = rows.entry((flight.mailbox, flight.day)).or_default();
        match flight.answers {
            Some(_) => counts.replies_in_flight += 1,
            None => counts.in_flight += 1,
        }
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
        check(row.replied == counts.replied, "the counter of replied is the count of its rows");
        check(row.reply_attempts <= row.quota.div_ceil(2).max(counts.replied), "replies are half the quota at most");
        check(counts.in_flight + counts.replies_in_flight <= 1, "at most one mail or reply of a mailbox is on its way");
    }
    violations.extend(rows.keys().map(|(mailbox, day)| format!("mailbox {mailbox} has rows on {day} but no day")));
    let logged_twice = tables.flights.keys().filter(|flight| tables.logs.contains_key(flight));
    violations.extend(broken_threads(tables));
    violations.extend(logged_twice.map(|flight| format!("flight {flight} is on its way and in the log")));
    violations
}
