//! What came of all mails of a simulated fleet, in numbers: they are all that is left of a day of millions.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::{LogRow, Tables};
use crate::domain::time::Schedule;

/// The sums so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By the beginning of the hour.
    pub hours: BTreeMap<DateTime<Utc>, Hour>,
    /// Refused or uncertain, mails and replies.
    pub failed: u64,
    /// Days of mailboxes on which all of the quota was sent.
    pub filled: u64,
    /// Those of them that were filled after the mailbox's window.
    pub filled_late: u64,
    /// When the last one was filled.
    pub filled_at: Option<DateTime<Utc>>,
}

/// What a host took in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    pub sent: u64,
    pub replied: u64,
}

impl Tally {
    /// A row that was uncertain is counted anew.
    pub(in crate::simulation) fn corrected(&mut self) {
        self.failed -= 1;
    }
}

impl Tables {
    /// Counts a row of the log that was just written, after the counters of its day.
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
