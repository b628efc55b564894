//! A worker whose clock is ahead for a while: nothing is done for the wrong time, and all goes on once it is right.

use std::collections::BTreeSet;

use warmup::domain::id::MailboxId;

use crate::{
    fleet::{Day, Life, Order, Scenario, simulate},
    one_day::{assert_true_numbers, calm},
};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A day on which the worker's clock is `ahead` from `from` to `to`, in seconds after 08:45.
fn jumped(seed: u64, from: i64, to: i64, ahead: i64) -> Day {
    simulate(&Scenario { workers: vec![Life::alone().jumps(from, to, ahead)], ..calm(seed) })
}

/// When mails were granted, in minutes after 08:45.
fn minutes(day: &Day) -> BTreeSet<i64> {
    let begins = day.begins.timestamp_micros();
    day.grants.iter().map(|(at, _)| (at - begins) / 1_000_000 / MINUTE).collect()
}

#[test]
fn a_worker_that_was_an_hour_ahead_sends_within_an_interval_of_being_set_right() {
    let (from, to) = (2 * HOUR + 7 * MINUTE, 2 * HOUR + 9 * MINUTE);
    let day = jumped(1, from, to, HOUR);
    assert_true_numbers(&day);
    let after: Vec<i64> = minutes(&day).range(to / MINUTE..(to + HOUR) / MINUTE).copied().collect();
    assert!(after.first().is_some_and(|first| *first <= to / MINUTE + 16), "{after:?}");
    assert!(after.windows(2).all(|pair| pair[1] - pair[0] <= 16), "a tick is missing in the hour after: {after:?}");
    assert!(after.last().is_some_and(|last| *last >= (to + HOUR) / MINUTE - 16), "{after:?}");
    assert!(day.days.iter().all(|(_, row)| row.sent == 30), "{:?}", day.days);
}

#[test]
fn a_machine_400_days_ahead_for_25_seconds_closes_no_day_and_does_no_duty() {
    for seed in 1..=3 {
        // What is resumed meanwhile asks for a plan.
        let resume: Order = |world| (1..=48).for_each(|id| world.change(MailboxId(id), |_| {}));
        let worker = Life::alone().jumps(3 * HOUR + 2, 3 * HOUR + 27, 400 * DAY);
        let orders = vec![(3 * HOUR + 10, resume)];
        let day = simulate(&Scenario { workers: vec![worker], orders, ..calm(seed) });
        assert_true_numbers(&day);
        let last = day.begins.date_naive();
        assert!(day.duties.iter().all(|date| *date <= last), "duties of the future: {:?}", day.duties);
        assert_eq!(day.days.len(), 48, "a day of the future was opened");
        assert!(day.days.iter().all(|(_, row)| row.sent == 30 && !row.closed), "{:?}", day.days);
    }
}
