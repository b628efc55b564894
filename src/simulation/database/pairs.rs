//! `Pairs` stores the rows of the table `pairs` as a short list for each sender of a day.
//!
//! A day of millions of mails then has as many short lists as mailboxes.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::domain::id::MailboxId;

/// A partner, and the round of the day's pairing in which it counts as used.
type Used = (MailboxId, i16);

/// The used partners by day and sender.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation) struct Pairs(BTreeMap<NaiveDate, BTreeMap<MailboxId, Vec<Used>>>);

impl Pairs {
    /// Returns whether `mailbox` has used that partner in that round on `day`.
    pub(in crate::simulation) fn contains(&self, day: NaiveDate, mailbox: MailboxId, used: Used) -> bool {
        self.0.get(&day).and_then(|senders| senders.get(&mailbox)).is_some_and(|list| list.contains(&used))
    }

    /// Records a pair as used, once.
    pub(in crate::simulation) fn insert(&mut self, day: NaiveDate, mailbox: MailboxId, used: Used) {
        let list = self.0.entry(day).or_default().entry(mailbox).or_default();
        if !list.contains(&used) {
            list.push(used);
        }
    }

    /// Removes a pair whose mail was not started.
    pub(in crate::simulation) fn remove(&mut self, day: NaiveDate, mailbox: MailboxId, used: Used) {
        if let Some(list) = self.0.get_mut(&day).and_then(|senders| senders.get_mut(&mailbox)) {
            list.retain(|other| *other != used);
        }
    }

    /// Forgets the days before `before`.
    pub(in crate::simulation) fn keep_from(&mut self, before: NaiveDate) {
        self.0.retain(|day, _| *day >= before);
    }

    /// Returns the number of pairs.
    pub(in crate::simulation) fn len(&self) -> usize {
        self.0.values().flat_map(BTreeMap::values).map(Vec::len).sum()
    }

    /// Returns all pairs, in order.
    pub(super) fn all(&self) -> Vec<(NaiveDate, MailboxId, MailboxId, i16)> {
        let mut all = Vec::with_capacity(self.len());
        for (day, senders) in &self.0 {
            for (mailbox, list) in senders {
                all.extend(list.iter().map(|(partner, round)| (*day, *mailbox, *partner, *round)));
            }
        }
        all.sort_unstable();
        all
    }
}
