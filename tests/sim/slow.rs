//! A slow Postgres: what a late answer costs, and that it costs nothing for good.

use warmup::simulation::FaultRates;

use crate::{
    fleet::{Life, Pace, Scenario, simulate},
    trouble::Outage,
};

const MAILBOXES: i64 = 20;
const QUOTA: u16 = 3;

/// A minute in which each call of Postgres takes up to `most_ms`; a grant holds for 3 s.
fn slow_minute(seed: u64, most_ms: u64) -> Scenario {
    Scenario {
        seed,
        mailboxes: MAILBOXES,
        quota: QUOTA,
        weather: FaultRates::default(),
        pace: Pace::Busy(1_200),
        workers: vec![Life::alone()],
        orders: Vec::new(),
        outages: vec![(Outage::SlowLedger(most_ms), 5, 65)],
    }
}

#[test]
fn a_minute_of_a_slow_postgres_takes_no_mail_from_anybody() {
    for seed in 1..=5 {
        let day = simulate(&slow_minute(seed, 15_000));
        assert_eq!(day.violations, [""; 0], "seed {seed}");
        let sent: u16 = day.days.iter().map(|(_, row)| row.sent).sum();
        assert_eq!(i64::from(sent), MAILBOXES * i64::from(QUOTA), "seed {seed}: {:?}", day.days);
        let attempts: u16 = day.days.iter().map(|(_, row)| row.attempts).sum();
        // One whose lease ended before its dot was started too.
        let started: u16 = day.days.iter().map(|(_, row)| row.sent + row.failed + row.uncertain).sum();
        assert_eq!(attempts, started, "seed {seed}: an attempt is a mail that was started");
    }
}

/// Without the growing wait, and with whole batches, the minute would cost more than twice as many tokens.
#[test]
fn a_slow_postgres_burns_few_tokens() {
    let burnt = (1..=5).map(|seed| {
        let day = simulate(&Scenario { mailboxes: 300, ..slow_minute(seed, 6_000) });
        let sent: usize = day.days.iter().map(|(_, row)| usize::from(row.sent)).sum();
        day.grants.len() - sent
    });
    let burnt: Vec<usize> = burnt.collect();
    // 225 with the wait and the small batches, 562 without.
    assert!(burnt.iter().sum::<usize>() <= 350, "tokens without a mail: {burnt:?}");
}
