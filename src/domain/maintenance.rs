//! This module lists the daily maintenance jobs of the leader and computes when the jobs of each date are
//! due.
//!
//! The jobs of a date are due at the first instant at which the local time in `WARMUP_TIMEZONE` is 00:05 of
//! that date or later. For a date that begins at 01:00 this is 01:00. A date that a zone skipped begins with
//! the next date. One date is due at an instant: the latest whose instant has come. It only advances, by one
//! date at a time. After a stop of some days only the latest date is done; pruning goes by the age of a row,
//! so any date's jobs remove it.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;

use super::time::{instant, today};

/// The start of the jobs in minutes after midnight: later than the jobs that other systems start at midnight
/// sharp.
const AT: u16 = 5;

/// The age in days from which a day may be pruned. Until then it can be the current day in some time zone, or
/// settle in its night. Nothing younger is pruned, whatever the settings say.
const LIVE_DAYS: u64 = 3;

/// The minimum age at which the leader treats an in-flight mail as one that no owner sweeps.
const LEFT_ALONE: Duration = Duration::from_secs(3600);

/// Returns the date whose jobs are due at `now`.
pub fn due(zone: Tz, now: DateTime<Utc>) -> NaiveDate {
    let date = today(zone, now);
    let (yesterday, tomorrow) = (date - Days::new(1), date + Days::new(1));
    // Local time can go back over midnight: then tomorrow's jobs are due already, and stay due.
    [tomorrow, date].into_iter().find(|day| instant(zone, *day, AT) <= now).unwrap_or(yesterday)
}

/// Returns the instant after `now` at which the jobs of the next date become due.
pub fn next_due(zone: Tz, now: DateTime<Utc>) -> DateTime<Utc> {
    instant(zone, due(zone, now) + Days::new(1), AT)
}

/// Returns the age at which the leader settles an in-flight mail without an owner; `mail_deadline` is the
/// longest duration of a mail. An owner of its shard, if there is one, sweeps it long before.
pub fn orphan_age(mail_deadline: Duration) -> Duration {
    LEFT_ALONE.max(mail_deadline * 2)
}

/// A kind of rows that is kept for a limited time and then deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PruneTarget {
    Logs,
    /// The counters of the log's rows, kept as long as these, so that their sums hold. Streaks are counted
    /// from them; the ramp's day count is a separate counter.
    MailboxDays,
    /// The reasons for changes of state, kept as long as the rows that they explain.
    Events,
    /// Ended threads, kept as long as the rows of their mails.
    Replies,
    Batches,
    Rosters,
    UserDays,
    /// Pairs: 30 rows per mailbox and day, used on that day only.
    Pairs,
    /// Ended pauses of hosts and domains.
    Pauses,
    /// The rows of the maintenance jobs themselves.
    Cleanups,
}

/// A maintenance job of a date. Each job is repeatable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaintenanceJob {
    /// Creates the partitions for the log rows of the coming days.
    Partitions,
    /// Settles in-flight mails that no owner sweeps as uncertain.
    Flights,
    /// Deletes rows that are older than their retention.
    Retire(PruneTarget),
}

impl MaintenanceJob {
    /// All jobs in the order of execution: those that sending needs come first.
    pub const ALL: [MaintenanceJob; 12] = [
        MaintenanceJob::Partitions,
        MaintenanceJob::Flights,
        MaintenanceJob::Retire(PruneTarget::Logs),
        MaintenanceJob::Retire(PruneTarget::MailboxDays),
        MaintenanceJob::Retire(PruneTarget::Events),
        MaintenanceJob::Retire(PruneTarget::Replies),
        MaintenanceJob::Retire(PruneTarget::Batches),
        MaintenanceJob::Retire(PruneTarget::Rosters),
        MaintenanceJob::Retire(PruneTarget::UserDays),
        MaintenanceJob::Retire(PruneTarget::Pairs),
        MaintenanceJob::Retire(PruneTarget::Pauses),
        MaintenanceJob::Retire(PruneTarget::Cleanups),
    ];

    /// Returns the name of the job in the row of the date.
    pub fn as_str(self) -> &'static str {
        match self {
            MaintenanceJob::Partitions => "partitions",
            MaintenanceJob::Flights => "flights",
            MaintenanceJob::Retire(PruneTarget::Logs) => "logs",
            MaintenanceJob::Retire(PruneTarget::MailboxDays) => "mailbox_days",
            MaintenanceJob::Retire(PruneTarget::Events) => "events",
            MaintenanceJob::Retire(PruneTarget::Replies) => "scheduled_replies",
            MaintenanceJob::Retire(PruneTarget::Batches) => "batches",
            MaintenanceJob::Retire(PruneTarget::Rosters) => "rosters",
            MaintenanceJob::Retire(PruneTarget::UserDays) => "user_days",
            MaintenanceJob::Retire(PruneTarget::Pairs) => "pairs",
            MaintenanceJob::Retire(PruneTarget::Pauses) => "pauses",
            MaintenanceJob::Retire(PruneTarget::Cleanups) => "cleanups",
        }
    }
}

/// The retention of each kind of rows, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `WARMUP_LOG_RETENTION_DAYS`
    pub log_days: u32,
    /// `WARMUP_METRICS_RETENTION_DAYS`
    pub metrics_days: u32,
}

impl Retention {
    /// Returns the first date of `kept` that stays when the jobs of `day` run at `now`. The configured number of days
    /// before `day` stays, and so does each day that may still be the current one in some zone.
    pub fn keep_from(self, kept: PruneTarget, day: NaiveDate, now: DateTime<Utc>) -> NaiveDate {
        let days = match kept {
            PruneTarget::Logs
            | PruneTarget::MailboxDays
            | PruneTarget::Events
            | PruneTarget::Replies
            | PruneTarget::Cleanups => u64::from(self.log_days),
            PruneTarget::Batches | PruneTarget::Rosters | PruneTarget::UserDays | PruneTarget::Pauses => {
                u64::from(self.metrics_days)
            }
            PruneTarget::Pairs => LIVE_DAYS,
        };
        (day - Days::new(days)).min(now.date_naive() - Days::new(LIVE_DAYS))
    }
}

#[cfg(test)]
mod tests;
