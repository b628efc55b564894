//! `Urgency` orders the mailboxes: the mailbox furthest from its quota comes first, and even earlier if it is
//! behind.
//!
//! Ties are decided by the longest time since the last mail, then by id. Each failure in a row lowers the
//! urgency. Failures return their quota slots, so a failing mailbox would otherwise stay furthest from its
//! quota and go before all that succeed.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use super::{id::MailboxId, progress::PlannedShare};

/// The place of a mailbox in the queue. The greatest value goes first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Urgency {
    score: f64,
    last_sent_at: Option<DateTime<Utc>>,
    mailbox: MailboxId,
}

/// The values from which the urgency of one mailbox on one day is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuotaProgress {
    pub mailbox: MailboxId,
    pub quota: u16,
    pub reserved: u16,
    pub sent: u16,
    pub last_sent_at: Option<DateTime<Utc>>,
    /// The mails and replies since the last sent one that failed or are uncertain.
    pub failed_in_row: u16,
}

impl Urgency {
    /// Returns (quota - reserved) / quota, divided by 1 + the mails that failed in a row. The result is
    /// multiplied by `boost` (`WARMUP_QUOTA_PRIORITY_BOOST`) if sent is less than quota x share at `now`.
    pub fn of(standing: &QuotaProgress, now: PlannedShare, boost: f64) -> Urgency {
        let QuotaProgress { mailbox, quota, reserved, sent, last_sent_at, failed_in_row } = *standing;
        let open = f64::from(quota.saturating_sub(reserved)) / f64::from(quota.max(1));
        let open = open / (1.0 + f64::from(failed_in_row));
        let behind = now.is_ahead_of(sent, quota);
        Urgency { score: if behind { open * boost } else { open }, last_sent_at, mailbox }
    }

    /// Returns the score alone: 0 (nothing due) to `boost`.
    pub fn score(&self) -> f64 {
        self.score
    }
}

impl Eq for Urgency {}

impl PartialOrd for Urgency {
    fn partial_cmp(&self, other: &Urgency) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Urgency {
    fn cmp(&self, other: &Urgency) -> Ordering {
        self.score
            .total_cmp(&other.score)
            // `None`, never sent, must rank highest. It is the smaller option, so the comparison is reversed.
            .then_with(|| other.last_sent_at.cmp(&self.last_sent_at))
            .then_with(|| other.mailbox.cmp(&self.mailbox))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};

    use super::*;
    use crate::domain::time::Span;

    fn at(minute: i64) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 24, 9, 0, 0).unwrap() + TimeDelta::minutes(minute)
    }

    fn urgency_after(failed_in_row: u16, id: i64, reserved: u16, sent: u16, last: Option<i64>) -> Urgency {
        let share = PlannedShare::at(at(210), Span { start: at(0), end: at(480) });
        let last_sent_at = last.map(at);
        let standing = QuotaProgress { mailbox: MailboxId(id), quota: 30, reserved, sent, last_sent_at, failed_in_row };
        Urgency::of(&standing, share, 2.0)
    }

    fn urgency(id: i64, reserved: u16, sent: u16, last: Option<i64>) -> Urgency {
        urgency_after(0, id, reserved, sent, last)
    }

    #[test]
    fn the_furthest_from_its_quota_goes_first() {
        assert!(urgency(1, 10, 10, None) > urgency(2, 12, 12, None));
    }

    #[test]
    fn behind_is_boosted() {
        // Half the quota is planned: 14 is behind and doubled, 16 is not.
        assert!((urgency(1, 14, 14, None).score() - 32.0 / 30.0).abs() < 1e-9);
        assert!((urgency(1, 16, 16, None).score() - 14.0 / 30.0).abs() < 1e-9);
        // An in-flight mail is not sent: the mailbox is still behind.
        assert!((urgency(1, 16, 14, None).score() - 28.0 / 30.0).abs() < 1e-9);
    }

    #[test]
    fn each_failure_in_a_row_costs_urgency() {
        assert!((urgency_after(3, 1, 15, 15, None).score() - 0.5 / 4.0).abs() < 1e-9);
        assert!(urgency_after(1, 1, 0, 0, None) < urgency(2, 10, 10, None), "though it is further from its quota");
    }

    #[test]
    fn ties_go_to_the_longest_silence_then_the_lowest_id() {
        assert!(urgency(2, 10, 10, Some(5)) > urgency(1, 10, 10, Some(6)));
        assert!(urgency(2, 10, 10, None) > urgency(1, 10, 10, Some(6)));
        assert!(urgency(1, 10, 10, Some(5)) > urgency(2, 10, 10, Some(5)));
    }
}
