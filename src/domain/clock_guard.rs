//! `ClockGuard` decides if the day clock is reliable enough for steps that can't be undone.
//!
//! Closing days, planning, retention and log partitions follow the day clock. A clock that runs 400 days
//! ahead for some seconds would close today for good and drop every log partition. So these steps need two
//! proofs:
//!
//! ```text
//!   day clock      anchor ├──── passed ────┤ now      within `ALLOWED` of the machine clock's `passed`
//!   machine clock  anchor ├──── passed ────┤ now
//!   database            ▲ within `ALLOWED` of the day clock at the anchor
//! ```
//!
//! Each heartbeat compares the day clock with the database's clock and moves the anchor. Between two
//! heartbeats the machine clock, which is never set, reveals a jump at once. A corrected clock passes at the
//! next heartbeat.

use chrono::{DateTime, TimeDelta, Utc};

use super::lease::MachineTime;

/// The largest difference between two clocks: above the drift of unsynchronized machines within a day, far
/// below a day.
pub const ALLOWED: TimeDelta = TimeDelta::minutes(2);

/// Both clocks of one machine at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub day: DateTime<Utc>,
    pub machine: MachineTime,
}

/// The last reading that agreed with the database's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockGuard {
    anchor: Option<Reading>,
}

impl ClockGuard {
    /// Compares a reading with the database's clock. Returns the difference as an error if it is too large;
    /// it is positive if the day clock is ahead.
    pub fn compare(&mut self, reading: Reading, database: DateTime<Utc>) -> Result<(), TimeDelta> {
        let ahead = reading.day - database;
        if ahead.abs() > ALLOWED {
            self.anchor = None;
            return Err(ahead);
        }
        self.anchor = Some(reading);
        Ok(())
    }

    /// Returns true if the day clock has agreed with the database's clock and has not jumped since.
    pub fn is_right(&self, now: Reading) -> bool {
        self.anchor.is_some_and(|anchor| jump(anchor, now).abs() <= ALLOWED)
    }
}

/// Returns the time by which the day clock moved more than the machine clock between two readings.
pub fn jump(earlier: Reading, later: Reading) -> TimeDelta {
    let machine = TimeDelta::from_std(later.machine.since(earlier.machine)).unwrap_or(TimeDelta::MAX);
    (later.day - earlier.day).checked_sub(&machine).unwrap_or(TimeDelta::MIN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Returns a reading at `machine` seconds of the machine clock, with the day clock `ahead` of it.
    fn reading(machine: u64, ahead: TimeDelta) -> Reading {
        let day = noon() + TimeDelta::seconds(machine.cast_signed()) + ahead;
        Reading { day, machine: MachineTime(Duration::from_secs(machine)) }
    }

    fn noon() -> DateTime<Utc> {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_clock_is_right_once_it_agreed_with_the_database_and_until_it_jumps() {
        let mut guard = ClockGuard::default();
        assert!(!guard.is_right(reading(0, TimeDelta::zero())), "nothing was compared yet");
        guard.compare(reading(0, TimeDelta::zero()), noon()).unwrap();
        assert!(guard.is_right(reading(3_600, TimeDelta::seconds(1))));
        for jumped in [TimeDelta::days(400), TimeDelta::minutes(3), TimeDelta::hours(-1)] {
            assert!(!guard.is_right(reading(5, jumped)), "{jumped}");
        }
        assert!(guard.is_right(reading(30, TimeDelta::zero())), "it was set right");
    }

    #[test]
    fn a_clock_that_is_off_the_database_is_wrong_until_both_agree() {
        let mut guard = ClockGuard::default();
        let hour = TimeDelta::hours(1);
        assert_eq!(guard.compare(reading(0, hour), noon()), Err(hour));
        assert!(!guard.is_right(reading(1, hour)));
        guard.compare(reading(5, TimeDelta::zero()), noon() + TimeDelta::seconds(5)).unwrap();
        assert!(guard.is_right(reading(6, TimeDelta::zero())));
        assert!(!guard.is_right(reading(7, hour)));
    }
}
