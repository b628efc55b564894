//! What is owed until the next tick: released mails by urgency, the others by the time of their release.
//!
//! A mailbox stands in it at most once. While its mail is on its way, from the reserve to the settlement, the mailbox is
//! *busy* and nothing of it is handed out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::domain::{
    id::{MailboxId, ShardId, UserId},
    plan::Planned,
    urgency::Urgency,
};

/// A planned mail, and whether its level's partner was refused before.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) planned: Planned,
    /// Try many partners: the planned one and the first others would not do.
    pub(super) walk: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    mails: BTreeMap<MailboxId, Mail>,
    waiting: BTreeSet<(DateTime<Utc>, MailboxId)>,
    ready: BTreeSet<(Urgency, MailboxId)>,
    busy: BTreeSet<MailboxId>,
    /// Users whose cap refused, until when.
    held: HashMap<UserId, DateTime<Utc>>,
}

impl Queue {
    /// Replaces all that is planned for `shards` by `plan`. What is on its way stays busy.
    pub(super) fn replace(&mut self, shards: &BTreeSet<ShardId>, plan: Vec<Planned>) {
        let old: Vec<MailboxId> =
            self.mails.values().map(|m| &m.planned).filter(|p| shards.contains(&p.shard)).map(|p| p.mailbox).collect();
        for mailbox in old {
            self.remove(mailbox);
        }
        for planned in plan {
            self.insert(Mail { planned, walk: false });
        }
    }

    /// Takes the most urgent mails that are released at `now`, at most `most`, and marks their mailboxes busy.
    pub(super) fn take(&mut self, now: DateTime<Utc>, most: usize) -> Vec<Mail> {
        self.release(now);
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some((_, mailbox)) = self.ready.pop_last() else { break };
            let Some(mail) = self.mails.get(&mailbox) else { continue };
            if mail.planned.until <= now {
                self.mails.remove(&mailbox);
                continue;
            }
            let held = self.held.get(&mail.planned.user).copied().filter(|until| *until > now);
            let Some(mut mail) = self.mails.remove(&mailbox) else { continue };
            if let Some(until) = held {
                mail.planned.release_at = until;
                self.insert(mail);
            } else {
                self.busy.insert(mailbox);
                taken.push(mail);
            }
        }
        taken
    }

    /// Puts a taken mail back, not to be handed out before `at`.
    pub(super) fn put_back(&mut self, mut mail: Mail, at: DateTime<Utc>) {
        self.busy.remove(&mail.planned.mailbox);
        mail.planned.release_at = mail.planned.release_at.max(at);
        self.insert(mail);
    }

    /// Lets a mailbox go whose taken mail came to nothing until it is planned again.
    pub(super) fn drop_taken(&mut self, mailbox: MailboxId) {
        self.busy.remove(&mailbox);
    }

    /// Remembers what a mailbox whose mail is on its way owes after it.
    pub(super) fn owes_more(&mut self, planned: Planned) {
        self.mails.insert(planned.mailbox, Mail { planned, walk: false });
    }

    /// Notes that the mail of `mailbox` is settled; what it still owes is released once it has cooled down.
    pub(super) fn done(&mut self, mailbox: MailboxId, next_at: DateTime<Utc>) {
        self.busy.remove(&mailbox);
        if let Some(mut mail) = self.mails.remove(&mailbox) {
            mail.planned.release_at = mail.planned.release_at.max(next_at);
            if mail.planned.release_at < mail.planned.until {
                self.insert(mail);
            }
        }
    }

    /// Notes that the mail of `mailbox` is settled and that its answer stops the mailbox.
    pub(super) fn stopped(&mut self, mailbox: MailboxId) {
        self.busy.remove(&mailbox);
        self.remove(mailbox);
    }

    /// Hands out nothing of `user` before `until`.
    pub(super) fn hold(&mut self, user: UserId, until: DateTime<Utc>) {
        let held = self.held.entry(user).or_insert(until);
        *held = (*held).max(until);
    }

    /// Returns when the next mail is released: long ago if one is, `None` when none waits.
    pub(super) fn next_at(&self) -> Option<DateTime<Utc>> {
        if !self.ready.is_empty() {
            return Some(DateTime::<Utc>::MIN_UTC);
        }
        self.waiting.first().map(|(at, _)| *at)
    }

    /// Returns how many mails are released at `now`, counted up to `most`.
    pub(super) fn released(&mut self, now: DateTime<Utc>, most: usize) -> usize {
        self.release(now);
        self.ready.len().min(most)
    }

    /// Returns how many mailboxes owe something.
    pub(super) fn len(&self) -> usize {
        self.mails.len()
    }

    fn release(&mut self, now: DateTime<Utc>) {
        while let Some((at, mailbox)) = self.waiting.first().copied().filter(|(at, _)| *at <= now) {
            self.waiting.remove(&(at, mailbox));
            if let Some(mail) = self.mails.get(&mailbox) {
                self.ready.insert((mail.planned.urgency, mailbox));
            }
        }
    }

    fn insert(&mut self, mail: Mail) {
        let mailbox = mail.planned.mailbox;
        if !self.busy.contains(&mailbox) {
            self.waiting.insert((mail.planned.release_at, mailbox));
        }
        self.mails.insert(mailbox, mail);
    }

    fn remove(&mut self, mailbox: MailboxId) {
        if let Some(mail) = self.mails.remove(&mailbox) {
            self.ready.remove(&(mail.planned.urgency, mailbox));
            self.waiting.remove(&(mail.planned.release_at, mailbox));
        }
    }
}
