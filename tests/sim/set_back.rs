//! A database that loses its last seconds while a fleet sends: nothing is sent on its word.

use chrono::{DateTime, Utc};
use warmup::simulation::FaultRates;

use crate::{
    fleet::{Day, Life, Pace, Scenario, simulate},
    trouble::Outage,
};

/// When the database is set back, in seconds from the beginning.
const SET_BACK_AT: i64 = 40;

fn set_back(seed: u64, by_seconds: i64) -> Day {
    simulate(&Scenario {
        seed,
        mailboxes: 60,
        quota: 100,
        weather: FaultRates::default(),
        pace: Pace::Busy(100),
        workers: vec![Life::of("a", 0), Life::of("b", 0), Life::of("c", 0)],
        outages: vec![(Outage::SetBack(by_seconds), SET_BACK_AT, SET_BACK_AT)],
        orders: Vec::new(),
    })
}

#[test]
fn a_fleet_whose_database_lost_seconds_starts_nothing_more() {
    for seed in 1..=5 {
        let day = set_back(seed, 15);
        assert_eq!(day.violations, [""; 0], "seed {seed}");
        let after = |(at, ..): &&(DateTime<Utc>, _, _)| (*at - day.begins).num_seconds() > SET_BACK_AT + 1;
        assert_eq!(day.reserved.iter().filter(after).count(), 0, "seed {seed}");
        assert!(day.reserved.len() > 100, "seed {seed}: it had sent before");
        assert!(day.accepted.values().all(|times| *times == 1), "seed {seed}");
    }
}

/// What was lost has to do with nobody's word but the database's: a fleet that lost nothing goes on.
#[test]
fn a_database_that_lost_nothing_is_trusted() {
    let day = set_back(1, 0);
    let late = day.reserved.iter().filter(|(at, ..)| (*at - day.begins).num_seconds() > 80).count();
    assert!(late > 0, "it sends until the end");
}
