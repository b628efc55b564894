//! `PlannedShare` computes the fraction of a mailbox's quota that is planned up to a moment, and the mails
//! that are due.
//!
//! The plan fills the quota evenly over the first 7/8 of the window; the last eighth leaves room for failed
//! mails. All arithmetic is in whole microseconds, so that two workers never differ by a rounding. On the day
//! of its enrolment a mailbox has only the rest of its window ([`planned_window`]).

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::time::{Span, today};

/// The planned share of the quota at a moment, as an exact fraction from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedShare {
    part: i64,
    whole: i64,
}

impl PlannedShare {
    /// Returns the share at `at` of a day whose window is `window`: 0 until it opens, 1 from 7/8 of it on.
    pub fn at(at: DateTime<Utc>, window: Span) -> PlannedShare {
        let length = (window.end - window.start).num_microseconds().unwrap_or(i64::MAX);
        let whole = (length / 8 * 7).max(1);
        let part = (at - window.start).num_microseconds().unwrap_or(i64::MAX).clamp(0, whole);
        PlannedShare { part, whole }
    }

    /// Returns the fraction as (part, whole), in microseconds.
    pub fn fraction(self) -> (i64, i64) {
        (self.part, self.whole)
    }

    /// Returns the planned number of mails out of `quota`, rounded up.
    pub fn of(self, quota: u16) -> u16 {
        let scaled = i128::from(quota) * i128::from(self.part);
        let whole = i128::from(self.whole);
        // A share is at most the whole, so the result is at most `quota`.
        u16::try_from((scaled + whole - 1) / whole).unwrap_or(quota)
    }

    /// Returns true if `sent` is less than this share of `quota`.
    pub fn is_ahead_of(self, sent: u16, quota: u16) -> bool {
        i128::from(sent) * i128::from(self.whole) < i128::from(quota) * i128::from(self.part)
    }
}

/// Returns the part of `window` over which the plan of a mailbox grows; `window` is the one of `day` in
/// `zone`. On the day of the enrolment it starts at `enrolled_at`, on any other day it is the whole window.
pub fn planned_window(window: Span, zone: Tz, day: NaiveDate, enrolled_at: DateTime<Utc>) -> Span {
    // The zone lookup comes last: it is the slowest check, and most mailboxes were enrolled on an earlier
    // day.
    if enrolled_at <= window.start || today(zone, enrolled_at) != day {
        return window;
    }
    Span { start: enrolled_at.min(window.end), ..window }
}

/// Returns the number of mails to start before the next tick; `share` is the planned share *at* the next
/// tick.
///
/// The formula is `clamp(ceil(quota x share) - reserved, 0, quota - reserved)`. A quota that was lowered
/// below `reserved` gives 0.
pub fn due(quota: u16, reserved: u16, share: PlannedShare) -> u16 {
    share.of(quota).saturating_sub(reserved).min(quota.saturating_sub(reserved))
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};
    use proptest::prelude::*;

    use super::*;

    fn window() -> Span {
        let start = Utc.with_ymd_and_hms(2026, 11, 24, 9, 0, 0).unwrap();
        Span { start, end: start + TimeDelta::hours(8) }
    }

    #[test]
    fn the_whole_quota_is_planned_by_seven_eighths_of_the_window() {
        let share = |minutes| PlannedShare::at(window().start + TimeDelta::minutes(minutes), window());
        assert_eq!(share(-60).of(30), 0);
        assert_eq!(share(0).of(30), 0);
        assert_eq!(share(15).of(30), 2);
        assert_eq!(share(7 * 60).of(30), 30);
        assert_eq!(share(14 * 60).of(30), 30);
        assert!(share(7 * 60 - 1).is_ahead_of(29, 30));
        assert!(!share(7 * 60).is_ahead_of(30, 30));
    }

    #[test]
    fn the_day_of_the_enrolment_is_planned_from_then_on_and_no_other() {
        let (zone, day) = (chrono_tz::UTC, window().start.date_naive());
        let planned = |day, minutes| planned_window(window(), zone, day, window().start + TimeDelta::minutes(minutes));
        assert_eq!(planned(day, -1), window(), "before the window");
        let late = planned(day, 4 * 60);
        assert_eq!(late, Span { start: window().start + TimeDelta::hours(4), end: window().end });
        assert_eq!((PlannedShare::at(late.start, late).of(30), PlannedShare::at(late.end, late).of(30)), (0, 30));
        assert_eq!(planned(day.succ_opt().unwrap(), 4 * 60), window(), "on the next day");
        assert_eq!(planned(day.pred_opt().unwrap(), 4 * 60), window(), "nor on a day that was over");
        let evening = planned(day, 9 * 60);
        assert_eq!((evening.start, evening.end), (window().end, window().end));
        assert_eq!(PlannedShare::at(window().end + TimeDelta::hours(1), evening).of(30), 30, "it catches up at once");
    }

    proptest! {
        #[test]
        fn due_never_passes_the_quota(quota in 0u16..500, reserved in 0u16..500, minutes in -600i64..1200) {
            let share = PlannedShare::at(window().start + TimeDelta::minutes(minutes), window());
            let due = due(quota, reserved, share);
            prop_assert!(due == 0 || reserved + due <= quota);
            prop_assert!(share.of(quota) <= quota);
        }

        #[test]
        fn the_share_only_grows(quota in 0u16..500, minutes in -600i64..1200) {
            let share = |m| PlannedShare::at(window().start + TimeDelta::minutes(m), window()).of(quota);
            prop_assert!(share(minutes) <= share(minutes + 1));
        }

        #[test]
        fn due_brings_the_mailbox_exactly_to_its_share(quota in 1u16..500, minutes in 0i64..480, behind in 0u16..500) {
            let share = PlannedShare::at(window().start + TimeDelta::minutes(minutes), window());
            let reserved = share.of(quota).saturating_sub(behind);
            prop_assert_eq!(reserved + due(quota, reserved, share), share.of(quota));
        }
    }
}
