//! `DailyRoom` holds what is left of the daily limits of users. The plan takes from it, so that nothing is asked for that
//! can't be reserved.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::id::UserId;

/// What is left of one user's limit on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserDay {
    pub user: UserId,
    pub day: NaiveDate,
    /// Mails and replies that may still be reserved.
    pub left: u32,
}

/// See the module. A user that it does not know has no limit.
#[derive(Clone, Debug, Default)]
pub struct DailyRoom(HashMap<(UserId, NaiveDate), u32>);

impl DailyRoom {
    /// The room of these users on these days.
    pub fn new(days: impl IntoIterator<Item = UserDay>) -> DailyRoom {
        DailyRoom(days.into_iter().map(|UserDay { user, day, left }| ((user, day), left)).collect())
    }

    /// Says whether no user has a limit.
    pub fn is_boundless(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes room for up to `mails` mails or replies of `user` on `day`, and returns for how many.
    pub fn take(&mut self, user: UserId, day: NaiveDate, mails: u16) -> u16 {
        let Some(left) = self.0.get_mut(&(user, day)) else { return mails };
        let taken = mails.min(u16::try_from(*left).unwrap_or(u16::MAX));
        *left -= u32::from(taken);
        taken
    }
}
