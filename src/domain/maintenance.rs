//! The daily duties of the leader: when each date's are due, and what is kept for how long.
//!
//! The duties of a date are due at the first instant at which the wall in `WARMUP_TIMEZONE` shows 00:05 of it or later:
//! a date that begins at 01:00 has none, a date that a zone skipped begins with the next one. What is due at an instant
//! is one date, the latest whose instant has come; it only ever goes forward, by one date at a time. After a stop of
//! some days only the latest is done: whatever is too old goes by its age, whichever date's duties take it away.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;

use super::time::{instant, today};

/// Minutes after midnight: past whatever others do at midnight sharp.
const AT: u16 = 5;

/// A day can still be somebody's today, or settle in its night, so long after its UTC date began. Nothing younger goes,
/// whatever the settings say.
const LIVE_DAYS: u64 = 3;

/// How old a flight must be before the leader takes it for one that no owner sweeps, at least.
const LEFT_ALONE: Duration = Duration::from_secs(3600);

/// Returns the date whose duties are the ones to do at `now`.
pub fn due(zone: Tz, now: DateTime<Utc>) -> NaiveDate {
    let date = today(zone, now);
    let (yesterday, tomorrow) = (date - Days::new(1), date + Days::new(1));
    // The wall can go back over midnight: then tomorrow's are due already, and stay so.
    [tomorrow, date].into_iter().find(|day| instant(zone, *day, AT) <= now).unwrap_or(yesterday)
}

/// Returns the instant after `now` at which the next date's duties become due.
pub fn next_due(zone: Tz, now: DateTime<Utc>) -> DateTime<Utc> {
    instant(zone, due(zone, now) + Days::new(1), AT)
}

/// Returns how old a flight must be before the leader settles it as one without an owner, for mails that may take
/// `mail_deadline`. Its shard's owner, if there is any, sweeps it long before.
pub fn orphan_age(mail_deadline: Duration) -> Duration {
    LEFT_ALONE.max(mail_deadline * 2)
}

/// What is kept for a while and then taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PruneTarget {
    Logs,
    /// The counters of the log's rows: kept as long, so that their sums hold. Streaks are counted from them; how far a
    /// mailbox has grown is a counter of its own.
    MailboxDays,
    /// Why something changed its state: kept as long as the rows that it explains.
    Events,
    /// Threads that are ended: kept as long as the rows of their mails.
    Replies,
    Batches,
    Rosters,
    UserDays,
    /// 30 rows for each mailbox and day, of use on that day alone.
    Pairs,
    /// Of hosts and domains, once they are over.
    Pauses,
    /// The duties' own rows.
    Cleanups,
}

/// One step of a date's duties. Each is repeatable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaintenanceJob {
    /// The coming days' log rows can be written.
    Partitions,
    /// Flights that no owner sweeps are settled as uncertain.
    Flights,
    /// What is older than its retention goes.
    Retire(PruneTarget),
}

impl MaintenanceJob {
    /// All of them, in the order in which they are done: what sending needs first.
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

    /// Its name in the row of the date.
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

/// For how many days things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `WARMUP_LOG_RETENTION_DAYS`
    pub log_days: u32,
    /// `WARMUP_METRICS_RETENTION_DAYS`
    pub metrics_days: u32,
}

impl Retention {
    /// Returns the first date of which `kept` stays when the duties of `day` are done at `now`: as many days as are set,
    /// that date not counted, and never a day that may still be going on in some zone.
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
