//! `LimitWarnings` remembers the users whose reached daily limit this worker has logged.
//!
//! So the log has one line per user and day, not one for each waiting mail.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};

use crate::domain::id::UserId;

/// The maximum number of remembered pairs. With more users at their limits, some are logged again.
const CAPACITY: usize = 10_000;

/// The age at which a pair is forgotten. Two dates after its start a day is over in every time zone.
const FORGOTTEN_AFTER: Days = Days::new(2);

/// The logged pairs of day and user.
#[derive(Debug, Default)]
pub(super) struct LimitWarnings(BTreeSet<(NaiveDate, UserId)>);

impl LimitWarnings {
    /// Logs that the daily limit of `user` is reached on `day`, if that was not logged yet.
    pub(super) fn warn(&mut self, user: UserId, day: NaiveDate) {
        if self.is_new(user, day) {
            tracing::warn!(
                %user,
                %day,
                "the daily limit of a user is reached: its mailboxes start no mail and no reply on this day; `warmup status` \
                 names the user, `warmup user set ADDRESS --daily-limit MAILS` raises the limit"
            );
        }
    }

    fn is_new(&mut self, user: UserId, day: NaiveDate) -> bool {
        let is_new = self.0.insert((day, user));
        if is_new {
            let newest = self.0.last().map_or(day, |(day, _)| *day);
            self.0.retain(|(day, _)| day.checked_add_days(FORGOTTEN_AFTER).is_none_or(|end| end >= newest));
            while self.0.len() > CAPACITY {
                self.0.pop_first();
            }
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u64) -> NaiveDate {
        NaiveDate::default() + Days::new(day)
    }

    #[test]
    fn a_user_at_its_limit_is_logged_once_a_day() {
        let mut warnings = LimitWarnings::default();
        let new =
            [(1, 0), (1, 0), (2, 0), (1, 1), (1, 0), (1, 1)].map(|(user, on)| warnings.is_new(UserId(user), day(on)));
        assert_eq!(new, [true, false, true, true, false, false]);
    }

    #[test]
    fn days_that_are_over_and_more_users_than_fit_are_forgotten() {
        let mut warnings = LimitWarnings::default();
        for user in 0..2 * CAPACITY as i64 {
            warnings.is_new(UserId(user), day(0));
        }
        assert_eq!(warnings.0.len(), CAPACITY);
        warnings.is_new(UserId(1), day(3));
        assert_eq!(warnings.0.len(), 1);
    }
}
