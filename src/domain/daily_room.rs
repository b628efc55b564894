//! `DailyRoom` tracks the rest of the users' daily limits. The plan takes from it, so that it requests no
//! mail that can't be reserved.

use std::collections::HashMap;

use chrono::NaiveDate;

use super::id::UserId;

/// The rest of one user's limit on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserDay {
    pub user: UserId,
    pub day: NaiveDate,
    /// The mails and replies that may still be reserved.
    pub left: u32,
}

/// The rest of each limited user's days. A missing user has no limit.
#[derive(Clone, Debug, Default)]
pub struct DailyRoom(HashMap<(UserId, NaiveDate), u32>);

impl DailyRoom {
    /// Creates the room of these users on these days.
    pub fn new(days: impl IntoIterator<Item = UserDay>) -> DailyRoom {
        DailyRoom(days.into_iter().map(|UserDay { user, day, left }| ((user, day), left)).collect())
    }

    /// Returns true if no user has a limit.
    pub fn is_boundless(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes room for up to `mails` mails or replies of `user` on `day`, and returns the number taken.
    pub fn take(&mut self, user: UserId, day: NaiveDate, mails: u16) -> u16 {
        let Some(left) = self.0.get_mut(&(user, day)) else { return mails };
        let taken = mails.min(u16::try_from(*left).unwrap_or(u16::MAX));
        *left -= u32::from(taken);
        taken
    }

    /// Shares the room among mailboxes and returns the mails of each. Each entry requests mails of a user on
    /// a day, the most urgent first. Each mailbox gets one mail in this order, then another one, until
    /// nothing is left. So a mailbox with many due mails does not take the room that the user's other
    /// mailboxes need.
    pub fn share(&mut self, asked: &[(UserId, NaiveDate, u16)]) -> Vec<u16> {
        let is_limited = |(user, day, _): &(UserId, NaiveDate, u16)| self.0.contains_key(&(*user, *day));
        let mut given: Vec<u16> = asked.iter().map(|ask| if is_limited(ask) { 0 } else { ask.2 }).collect();
        let mut open: Vec<usize> = (0..asked.len()).filter(|place| is_limited(&asked[*place])).collect();
        while !open.is_empty() {
            open.retain(|place| {
                let (user, day, most) = asked[*place];
                let mails = if given[*place] < most { self.take(user, day, 1) } else { 0 };
                given[*place] += mails;
                mails > 0
            });
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: NaiveDate = NaiveDate::MIN;

    fn share(left: u32, asked: &[(i64, u16)]) -> Vec<u16> {
        let asked: Vec<_> = asked.iter().map(|(user, mails)| (UserId(*user), DAY, *mails)).collect();
        DailyRoom::new([UserDay { user: UserId(1), day: DAY, left }]).share(&asked)
    }

    #[test]
    fn a_mailbox_that_owes_many_leaves_room_to_the_others_of_its_user() {
        assert_eq!(share(48, &[(1, 400), (1, 90), (1, 2)]), [23, 23, 2]);
        assert_eq!(share(2, &[(1, 400), (1, 90), (1, 2)]), [1, 1, 0], "the most urgent first");
        assert_eq!(share(5, &[(1, 400), (2, 90), (1, 1)]), [4, 90, 1], "others have no limit");
        assert_eq!(share(0, &[(1, 400)]), [0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn all_the_room_is_given_and_nobody_has_two_more_than_one_that_asked_for_more(
            left in 0u32..200, asked in prop::collection::vec(0u16..60, 0..12),
        ) {
            let mails: Vec<(i64, u16)> = asked.iter().map(|mails| (1, *mails)).collect();
            let given = share(left, &mails);
            let sum = |mails: &[u16]| mails.iter().map(|mails| u32::from(*mails)).sum::<u32>();
            prop_assert_eq!(sum(&given), left.min(sum(&asked)));
            let least = given.iter().zip(&asked).filter(|(given, asked)| given < asked).map(|(given, _)| *given).min();
            let most = given.iter().max().copied().unwrap_or_default();
            prop_assert!(least.is_none_or(|least| most <= least + 1), "{:?} of {:?}", given, asked);
        }
    }
}
