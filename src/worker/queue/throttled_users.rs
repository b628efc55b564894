//! Users whose caps are short: what is released of them stands aside, and comes back a few at a time.
//!
//! A bucket that is empty gains one token after the other. To ask for all mails of its user whenever one has come would be
//! refused for all but one, again and again, and keep others from the batch. So after a refusal as many are asked for as
//! were granted beside it, twice, and while none is refused, twice as many each time.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{
    id::{MailboxId, UserId},
    urgency::Urgency,
};

/// Between two times at which some come back, at least: an answer of the caps is heard in between.
const STEP: TimeDelta = TimeDelta::milliseconds(250);

/// A mail's place among those that are released.
pub(super) type Place = (Urgency, MailboxId);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ThrottledUsers {
    users: HashMap<UserId, UserThrottle>,
    recalls: BTreeSet<(DateTime<Utc>, UserId)>,
}

/// One user's.
#[derive(Debug)]
struct UserThrottle {
    /// When some come back.
    recall_at: DateTime<Utc>,
    /// How many then.
    most: usize,
    /// How many may be handed out before that.
    left: usize,
    parked_mails: BTreeSet<Place>,
}

impl ThrottledUsers {
    /// Notes that a cap of `user` refused a mail when `granted` others of it were let through: nothing more before
    /// `until`.
    pub(super) fn refused(&mut self, user: UserId, until: DateTime<Utc>, granted: usize) {
        let (recalls, most) = (&mut self.recalls, (2 * granted).max(1));
        let new = || UserThrottle { recall_at: until, most, left: 0, parked_mails: BTreeSet::new() };
        let shortage = self.users.entry(user).or_insert_with(new);
        recalls.remove(&(shortage.recall_at, user));
        shortage.recall_at = shortage.recall_at.max(until);
        recalls.insert((shortage.recall_at, user));
        (shortage.most, shortage.left) = (most, 0);
    }

    /// Returns until when nothing of `user` may be handed out; `None` when something may.
    pub(super) fn until(&self, user: UserId) -> Option<DateTime<Utc>> {
        self.users.get(&user).filter(|shortage| shortage.left == 0).map(|shortage| shortage.recall_at)
    }

    /// Notes that something of `user` is handed out.
    pub(super) fn handed_out(&mut self, user: UserId) {
        if let Some(shortage) = self.users.get_mut(&user) {
            shortage.left = shortage.left.saturating_sub(1);
        }
    }

    /// Lets a mail stand aside if its user is short. Returns whether it does.
    pub(super) fn takes(&mut self, user: UserId, place: Place) -> bool {
        let shortage = self.users.get_mut(&user);
        shortage.map(|shortage| shortage.parked_mails.insert(place)).is_some()
    }

    /// Forgets a mail that is not to be handed out any more.
    pub(super) fn forget(&mut self, user: UserId, place: Place) {
        if let Some(shortage) = self.users.get_mut(&user) {
            shortage.parked_mails.remove(&place);
        }
    }

    /// Returns the mails that come back at `now`, the most urgent of each user. Who has not used up what was let through,
    /// and has nothing that stands aside, is not short any more.
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

    /// Returns when the next come back.
    pub(super) fn next_at(&self) -> Option<DateTime<Utc>> {
        self.recalls.first().map(|(at, _)| *at)
    }
}
