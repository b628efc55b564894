//! `Tally` sums up the mails of a simulated fleet; after a day of millions of mails only the sums are stored.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::{LogRow, Tables};
use crate::domain::time::Schedule;

/// The sums so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The accepted mails by the start of the hour.
    pub hours: BTreeMap<DateTime<Utc>, Hour>,
    /// The number of refused or uncertain mails and replies.
    pub failed: u64,
    /// The number of mailbox days on which the full quota was sent.
    pub filled: u64,
    /// The number of those days that were completed after the mailbox's window.
    pub filled_late: u64,
    /// The latest time at which such a day was completed.
    pub filled_at: Option<DateTime<Utc>>,
}

/// The mails and replies that hosts accepted in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    pub sent: u64,
    pub replied: u64,
}

impl Tally {
    /// Takes back an uncertain row before its correction is counted.
    pub(in crate::simulation) fn corrected(&mut self) {
        self.failed -= 1;
    }
}

impl Tables {
    /// Counts a log row that was just written. The counters of its day must be up to date.
    pub(in crate::simulation) fn count(&mut self, at: DateTime<Utc>, log: &LogRow) {
        let hour = self.tally.hours.entry(at.duration_trunc(TimeDelta::hours(1)).unwrap_or(at)).or_default();
        match log.status {
            "SENT" => hour.sent += 1,
            "REPLIED" => hour.replied += 1,
            _ => self.tally.failed += 1,
        }
        let full = |day: &&super::DayRow| log.status == "SENT" && day.sent == day.quota;
        if self.days.get(&(log.mailbox, log.day)).filter(full).is_some() {
            let schedule = self.mailboxes.get(&log.mailbox).map(|mailbox| mailbox.schedule);
            let late = |Schedule { window, zone, .. }: Schedule| at >= window.on(zone, log.day).end;
            self.tally.filled += 1;
            self.tally.filled_late += u64::from(schedule.is_some_and(late));
            self.tally.filled_at = self.tally.filled_at.max(Some(at));
        }
    }
}
