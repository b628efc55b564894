//! `ReplyIntent` decides if a mail is answered, and when.
//!
//! The *delay* between a mail and its reply is counted in the active hours of the answering mailbox, on its
//! own weekdays. A mail that arrives in the evening is answered the next morning, at a random time like any
//! other. A reply that is not sent by the end of the active hours in which it became due expires; it is not
//! carried over.

use std::sync::Arc;

use chrono::{DateTime, Days, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{
    id::{MailboxId, ReplyId, ShardId, UserId},
    time::{Weekdays, Window, today},
};

/// The number of days that are searched for a reply time: more than a week, even with one active hour per
/// day.
const DAYS_AHEAD: u64 = 14;

/// The settings by which a mailbox answers its received mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyPolicy {
    /// The number of answered mails out of a hundred.
    pub rate: u8,
    pub zone: Tz,
    /// The weekdays on which the mailbox answers.
    pub days: Weekdays,
}

/// A reply that was drawn at random and is scheduled once its mail is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyIntent {
    pub answering: ReplyPolicy,
    /// The delay, between `WARMUP_REPLY_DELAY_MIN` and `_MAX`.
    pub delay: TimeDelta,
    /// `WARMUP_ACTIVE_HOURS`.
    pub active: Window,
}

/// The window of a reply: from `at` on, before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyWindow {
    pub at: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// A reply that is due, or becomes due before the next tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueReply {
    pub id: ReplyId,
    /// The answering mailbox.
    pub mailbox: MailboxId,
    pub user: UserId,
    pub shard: ShardId,
    /// The domain of the answering mailbox; its Message-IDs end in it.
    pub domain: Arc<str>,
    /// The mail host of the answering mailbox, in lower case.
    pub host: Arc<str>,
    pub zone: Tz,
    /// The mailbox that is answered.
    pub partner: MailboxId,
    /// The Message-ID of the answered mail, without angle brackets.
    pub message_id: String,
    pub subject: String,
    pub due: ReplyWindow,
    /// The end of the answering mailbox's cooldown, if it has one.
    pub next_at: Option<DateTime<Utc>>,
    /// The span of the answered mail, as a W3C `traceparent`.
    pub trace: Option<String>,
}

impl ReplyIntent {
    /// Returns the window of the reply to a mail that was sent at `sent_at`. Returns `None` if two weeks have
    /// not enough active hours.
    pub fn due(&self, sent_at: DateTime<Utc>) -> Option<ReplyWindow> {
        let ReplyPolicy { zone, days, .. } = self.answering;
        let first = today(zone, sent_at);
        let mut left = self.delay;
        for day in (0..DAYS_AHEAD).map(|ahead| first + Days::new(ahead)).filter(|day| days.contains(*day)) {
            let hours = self.active.on(zone, day);
            let from = hours.start.max(sent_at);
            if from + left < hours.end {
                return Some(ReplyWindow { at: from + left, until: hours.end });
            }
            left -= (hours.end - from).max(TimeDelta::zero());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;

    /// Returns an instant in November 2026; the 24th is a Tuesday.
    fn at(day: u32, hour: u32, minute: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, day, hour, minute, 0).unwrap()
    }

    fn intent(minutes: i64, zone: Tz, days: &str) -> ReplyIntent {
        ReplyIntent {
            answering: ReplyPolicy { rate: 35, zone, days: days.parse().unwrap() },
            delay: TimeDelta::minutes(minutes),
            active: "07:00-22:00".parse().unwrap(),
        }
    }

    #[test]
    fn a_mail_in_active_hours_is_answered_after_the_delay() {
        let due = intent(60, chrono_tz::UTC, "mon-sun").due(at(24, 12, 0)).unwrap();
        assert_eq!((due.at, due.until), (at(24, 13, 0), at(24, 22, 0)));
    }

    #[test]
    fn the_delay_goes_on_in_the_morning() {
        let due = intent(60, chrono_tz::UTC, "mon-sun").due(at(24, 21, 50)).unwrap();
        assert_eq!((due.at, due.until), (at(25, 7, 50), at(25, 22, 0)));
        let due = intent(10, chrono_tz::UTC, "mon-sun").due(at(24, 3, 0)).unwrap();
        assert_eq!(due.at, at(24, 7, 10));
    }

    #[test]
    fn nobody_answers_at_the_weekend_who_is_not_there() {
        let due = intent(60, chrono_tz::UTC, "mon-fri").due(at(27, 21, 50)).unwrap();
        assert_eq!(due.at, at(30, 7, 50));
    }

    #[test]
    fn the_hours_are_the_answering_mailbox_s_own() {
        // 12:00 UTC is 21:00 in Tokyo.
        let due = intent(90, chrono_tz::Asia::Tokyo, "mon-sun").due(at(24, 12, 0)).unwrap();
        assert_eq!((due.at, due.until), (at(24, 22, 30), at(25, 13, 0)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_answer_falls_into_active_hours_and_never_comes_early(
            minute in 0i64..20_000, delay in 5i64..=240, zone in 0usize..596, days in 1u8..128
        ) {
            let zone = chrono_tz::TZ_VARIANTS[zone % chrono_tz::TZ_VARIANTS.len()];
            let days = Weekdays::from_bits(days).unwrap();
            let intent = ReplyIntent { answering: ReplyPolicy { rate: 35, zone, days }, ..intent(delay, zone, "mon-sun") };
            let sent = at(1, 0, 0) + TimeDelta::minutes(minute);
            let due = intent.due(sent).unwrap();
            prop_assert!(due.at >= sent + intent.delay && due.at < due.until);
            let day = today(zone, due.at);
            prop_assert!(days.contains(day));
            let hours = intent.active.on(zone, day);
            prop_assert!(hours.contains(due.at) && hours.end == due.until);
        }
    }
}
