//! `Tables::count_failure` counts failures in a row, as the statements `refused_senders` and `rulings` of `close.sql`
//! do.

use std::time::Duration;

use super::{super::Ending, Place, Welcome};
use crate::{
    domain::{
        id::MailboxId,
        outcome::{
            escalation::FAILURES,
            refusals::{FAILING_MAILBOXES, RefusalTarget},
        },
    },
    simulation::database::{Enrolled, Tables},
};

impl Tables {
    /// Counts a failure of `sender` about `target`, unless its host is down for all users. Returns the pause that
    /// follows, with its reason.
    pub(super) fn count_failure(
        &mut self,
        (sender, target): (MailboxId, RefusalTarget),
        welcome: &Welcome,
    ) -> Option<(Duration, &'static str)> {
        let is_excused = target == RefusalTarget::Host && self.is_down_for_all(sender, welcome);
        let counts = self.failures.entry(sender).or_default();
        if is_excused {
            counts.excuse();
            return None;
        }
        counts.add(target);
        counts.pause(target).and_then(|(pause, reason)| Some((pause.to_std().ok()?, reason)))
    }

    /// Returns whether the host of `mailbox`, or its user's login there, is paused for failures in a row, and several
    /// mailboxes of that place failed.
    fn is_down_for_all(&self, mailbox: MailboxId, welcome: &Welcome) -> bool {
        let has_failed = |id: &MailboxId| self.failures.contains_key(id) || welcome.unanswered.contains(id);
        let is_down = |place: &Place| {
            let is_there = |other: &Enrolled| *other.host == *place.1 || *other.login == *place.1;
            let failing = self.mailboxes.values().filter(|other| is_there(other) && has_failed(&other.id));
            self.pauses.get(place).is_some_and(|whole| whole.failures >= FAILURES)
                && failing.count() >= FAILING_MAILBOXES
        };
        self.places_of(mailbox).into_iter().flatten().any(|place| is_down(&place))
    }
}

/// Returns the senders of `ends` whose hosts gave no answer or failed before AUTH.
pub(super) fn unanswered(tables: &Tables, ends: &[Ending]) -> std::collections::BTreeSet<MailboxId> {
    let is_unanswered = |end: &&Ending| !end.is_reduced && end.outcome.refusal_target() == Some(RefusalTarget::Host);
    ends.iter().filter(is_unanswered).filter_map(|end| tables.sender_of(end.flight)).collect()
}
