//! One worker, one day, with and without trouble.

use std::collections::BTreeSet;

use warmup::adapters::memory::{Fault, Weather};

use crate::fleet::{Day, Outage, Scenario, simulate};

fn calm(seed: u64) -> Scenario {
    Scenario { seed, mailboxes: 48, quota: 30, weather: Weather::default(), outages: Vec::new() }
}

fn stormy(seed: u64) -> Scenario {
    Scenario {
        weather: Weather { refused: 4, broken_before: 3, broken_after: 2, vanished: 1 },
        outages: vec![
            (Outage::Ledger(Fault::Unavailable), 60, 66),
            (Outage::Ledger(Fault::AnswerLost), 100, 103),
            (Outage::Caps(Fault::Unavailable), 140, 145),
            (Outage::Caps(Fault::AnswerLost), 170, 172),
            (Outage::Leases(Fault::Unavailable), 200, 202),
            (Outage::Leases(Fault::AnswerLost), 230, 231),
            (Outage::RedisForgets, 260, 261),
        ],
        ..calm(seed)
    }
}

/// What holds after any day.
pub fn assert_true_numbers(day: &Day) {
    assert_eq!(day.violations, [""; 0]);
    assert_eq!(day.report.abandoned, 0);
    assert!(day.accepted.values().all(|times| *times == 1), "no message is submitted twice");
    let sent: BTreeSet<&String> =
        day.logs.iter().filter(|(_, row)| row.status == "SENT").map(|(_, row)| &row.message_id).collect();
    let uncertain: BTreeSet<&String> = day
        .logs
        .iter()
        .filter(|(_, row)| row.reason.as_deref() == Some("uncertain"))
        .map(|(_, row)| &row.message_id)
        .collect();
    assert!(sent.iter().all(|id| day.accepted.contains_key(*id)), "only what a host accepted is SENT");
    assert!(day.accepted.keys().all(|id| sent.contains(id) || uncertain.contains(id)), "what arrived is accounted for");
}

#[test]
fn a_calm_day_serves_everybody() {
    let day = simulate(&calm(1));
    assert_true_numbers(&day);
    assert!(day.days.iter().all(|(_, row)| row.sent == 30 && row.reserved == 30), "{:?}", day.days);
    assert_eq!((day.logs.len(), day.accepted.len()), (1_440, 1_440));
}

#[test]
fn a_stormy_day_serves_everybody_and_every_number_is_true() {
    for seed in 1..=8 {
        let day = simulate(&stormy(seed));
        assert_true_numbers(&day);
        assert!(day.days.iter().all(|(_, row)| row.reserved == 30), "seed {seed}: {:?}", day.days);
        let count = |reason: &str| day.logs.iter().filter(|(_, row)| row.reason.as_deref() == Some(reason)).count();
        assert!(count("uncertain") > 0, "seed {seed}: the storm had no uncertain mail");
        assert!(day.logs.len() > 1_440, "seed {seed}: the storm refused nothing");
    }
}

#[test]
fn a_seed_replays_exactly() {
    let (one, other) = (simulate(&stormy(5)), simulate(&stormy(5)));
    assert_eq!(one.logs, other.logs);
    assert_eq!(one.accepted, other.accepted);
    assert_eq!((one.statements, one.events), (other.statements, other.events));
    assert_ne!(one.logs, simulate(&stormy(6)).logs);
}

#[test]
fn a_lone_mailbox_sends_nothing() {
    let day = simulate(&Scenario { mailboxes: 1, ..calm(1) });
    assert_true_numbers(&day);
    assert!(day.logs.is_empty());
}

#[test]
fn a_pool_of_twenty_writes_to_everybody_before_anybody_twice() {
    let day = simulate(&Scenario { mailboxes: 20, ..calm(3) });
    assert_true_numbers(&day);
    let mut counts = std::collections::BTreeMap::new();
    for (_, row) in &day.logs {
        *counts.entry((row.mailbox, row.partner)).or_insert(0) += 1;
    }
    assert_eq!(day.logs.len(), 600);
    assert!(counts.values().all(|count| (1..=2).contains(count)), "{counts:?}");
}
