//! `ThrottledUsers` parks the released mails of users whose caps refuse, and resumes them a few at a time.
//!
//! An empty token bucket gains one token at a time. A request for all mails of its user would fail for all but one,
//! again and again. It would also displace mails of other users from the batch. After a refusal the queue therefore
//! resumes twice as many mails as the cap granted beside it. While none is refused, each step doubles the number.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{
    id::{MailboxId, UserId},
    urgency::Urgency,
};

/// The minimum time between two steps of a user: the caps answer in between.
const STEP: TimeDelta = TimeDelta::milliseconds(250);

/// The position of a mail in the order of released mails.
pub(super) type Place = (Urgency, MailboxId);

/// A `ThrottledUsers` holds the users whose cap refused a mail (`queue/throttled_users.rs`).
#[derive(Debug, Default)]
pub(super) struct ThrottledUsers {
    users: HashMap<UserId, UserThrottle>,
    recalls: BTreeSet<(DateTime<Utc>, UserId)>,
}

/// The state of one throttled user.
#[derive(Debug)]
struct UserThrottle {
    /// The time of the next step.
    recall_at: DateTime<Utc>,
    /// The number of mails that the next step resumes.
    most: usize,
    /// The number of mails that may be handed out before the next step.
    left: usize,
    parked_mails: BTreeSet<Place>,
}

impl ThrottledUsers {
    /// Records that a cap of `user` refused a mail after it had granted `granted` others. The queue hands out no mail
    /// of `user` before `until`.
    pub(super) fn refused(&mut self, user: UserId, until: DateTime<Utc>, granted: usize) {
        let (recalls, most) = (&mut self.recalls, (2 * granted).max(1));
        let new = || UserThrottle { recall_at: until, most, left: 0, parked_mails: BTreeSet::new() };
        let shortage = self.users.entry(user).or_insert_with(new);
        recalls.remove(&(shortage.recall_at, user));
        shortage.recall_at = shortage.recall_at.max(until);
        recalls.insert((shortage.recall_at, user));
        (shortage.most, shortage.left) = (most, 0);
    }

    /// Returns the time before which no mail of `user` may be handed out; `None` if one may go now.
    pub(super) fn until(&self, user: UserId) -> Option<DateTime<Utc>> {
        self.users.get(&user).filter(|shortage| shortage.left == 0).map(|shortage| shortage.recall_at)
    }

    /// Records that a mail of `user` is handed out.
    pub(super) fn handed_out(&mut self, user: UserId) {
        if let Some(shortage) = self.users.get_mut(&user) {
            shortage.left = shortage.left.saturating_sub(1);
        }
    }

    /// Parks a mail if its user is throttled. Returns whether it is parked.
    pub(super) fn takes(&mut self, user: UserId, place: Place) -> bool {
        let shortage = self.users.get_mut(&user);
        shortage.map(|shortage| shortage.parked_mails.insert(place)).is_some()
    }

    /// Forgets a parked mail that must not be handed out.
    pub(super) fn forget(&mut self, user: UserId, place: Place) {
        if let Some(shortage) = self.users.get_mut(&user) {
            shortage.parked_mails.remove(&place);
        }
    }

    /// Returns the mails that resume at `now`, the most urgent of each user first. A user with no parked mail and an
    /// unused part of the last step is no longer throttled.
    pub(super) fn resume_mails(&mut self, now: DateTime<Utc>) -> Vec<Place> {
        let mut back = Vec::new();
        while let Some((at, user)) = self.recalls.first().copied().filter(|(at, _)| *at <= now) {
            self.recalls.remove(&(at, user));
            let Some(shortage) = self.users.get_mut(&user) else { continue };
            if shortage.parked_mails.is_empty() && shortage.left > 0 {
                self.users.remove(&user);
                continue;
            }
            if shortage.left == 0 {
                shortage.left = shortage.most;
                shortage.most = shortage.most.saturating_mul(2);
            }
            back.extend((0..shortage.left).map_while(|_| shortage.parked_mails.pop_last()));
            shortage.recall_at = now + STEP;
            self.recalls.insert((shortage.recall_at, user));
        }
        back
    }

    /// Returns the time of the next step of any user.
    pub(super) fn next_at(&self) -> Option<DateTime<Utc>> {
        self.recalls.first().map(|(at, _)| *at)
    }
}
