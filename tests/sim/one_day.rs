//! One worker, one day, with and without trouble.

use std::collections::{BTreeMap, BTreeSet};

use warmup::simulation::{Fault, FaultRates};

use crate::{
    fleet::{Day, Life, Pace, Scenario, simulate},
    trouble::Outage,
};

pub fn calm(seed: u64) -> Scenario {
    let workers = vec![Life::alone()];
    Scenario {
        seed,
        mailboxes: 48,
        quota: 30,
        weather: FaultRates::default(),
        pace: Pace::Day,
        workers,
        outages: Vec::new(),
        orders: Vec::new(),
    }
}

fn stormy(seed: u64) -> Scenario {
    Scenario {
        weather: FaultRates { refused: 4, broken_before: 3, broken_after: 2, vanished: 1 },
        outages: vec![
            (Outage::Ledger(Fault::Unavailable), 60 * 60, 66 * 60),
            (Outage::Ledger(Fault::AnswerLost), 100 * 60, 103 * 60),
            (Outage::Caps(Fault::Unavailable), 140 * 60, 145 * 60),
            (Outage::Caps(Fault::AnswerLost), 170 * 60, 172 * 60),
            (Outage::Leases(Fault::Unavailable), 200 * 60, 202 * 60),
            (Outage::Leases(Fault::AnswerLost), 230 * 60, 231 * 60),
            (Outage::RedisForgets, 260 * 60, 261 * 60),
        ],
        ..calm(seed)
    }
}

/// What holds after any day.
pub fn assert_true_numbers(day: &Day) {
    assert_eq!(day.violations, [""; 0]);
    assert!(day.ends.iter().flatten().flatten().all(|report| report.abandoned == 0), "{:?}", day.ends);
    assert!(day.accepted.values().all(|times| *times == 1), "no message is submitted twice");
    let sent: BTreeSet<&String> =
        day.logs.iter().filter(|(_, row)| row.status != "FAILED").map(|(_, row)| &row.message_id).collect();
    let uncertain: BTreeSet<&String> = day
        .logs
        .iter()
        .filter(|(_, row)| row.reason.as_deref() == Some("uncertain"))
        .map(|(_, row)| &row.message_id)
        .collect();
    assert!(sent.iter().all(|id| day.accepted.contains_key(*id)), "only what a host accepted is SENT or REPLIED");
    // What a killed worker had on its way waits for a sweep, and is not open for anybody else.
    let known = |id: &String| sent.contains(id) || uncertain.contains(id) || day.in_flight.contains_key(id);
    assert!(day.accepted.keys().all(known), "what arrived is accounted for");
}

#[test]
fn a_calm_day_serves_everybody() {
    let day = simulate(&calm(1));
    assert_true_numbers(&day);
    assert!(day.days.iter().all(|(_, row)| row.sent == 30 && row.reserved == 30), "{:?}", day.days);
    let rows = |status: &str| day.logs.iter().filter(|(_, row)| row.status == status).count();
    assert_eq!((rows("SENT"), rows("FAILED"), day.accepted.len()), (1_440, 0, 1_440 + rows("REPLIED")));
}

#[test]
fn what_the_dice_ask_for_is_answered_once_by_the_partner_in_its_thread() {
    let day = simulate(&calm(1));
    let of = |state: &str| day.replies.iter().filter(|(_, row)| row.state == state).count();
    let by_flight: BTreeMap<_, _> = day.logs.iter().map(|(flight, row)| (flight.0, row)).collect();
    // 35 of a hundred, give or take four times the deviation of so many rolls.
    let share = day.replies.len() as f64 / 1_440.0;
    assert!((0.30..0.40).contains(&share), "{share}");
    assert_eq!(of("sent") + of("lapsed"), day.replies.len(), "everything ended by the evening");
    for (_, answer) in day.logs.iter().filter(|(_, row)| row.status == "REPLIED") {
        let mail = by_flight[&answer.answers.unwrap().0];
        assert_eq!((answer.mailbox, answer.partner), (mail.partner, mail.mailbox));
        assert_eq!(answer.subject, format!("Re: {}", mail.subject));
    }
    for (_, row) in day.replies.iter().filter(|(_, row)| row.state == "lapsed") {
        assert_eq!(row.reason.as_deref(), Some("reply-limit"));
    }
}

#[test]
fn a_stormy_day_serves_everybody_and_every_number_is_true() {
    for seed in 1..=4 {
        let day = simulate(&stormy(seed));
        assert_true_numbers(&day);
        assert!(day.days.iter().all(|(_, row)| row.reserved == 30), "seed {seed}: {:?}", day.days);
        let count = |reason: &str| day.logs.iter().filter(|(_, row)| row.reason.as_deref() == Some(reason)).count();
        assert!(day.logs.iter().any(|(_, row)| row.status == "REPLIED"), "seed {seed}: nothing was answered");
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
    for (_, row) in day.logs.iter().filter(|(_, row)| row.status == "SENT") {
        *counts.entry((row.mailbox, row.partner)).or_insert(0) += 1;
    }
    assert_eq!(counts.values().sum::<i32>(), 600);
    assert!(counts.values().all(|count| (1..=2).contains(count)), "{counts:?}");
}
