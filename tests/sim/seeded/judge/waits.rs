//! How long due mailboxes wait for their next mail. The longest wait stays below the bound of `scenario/troubles.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use chrono::{DateTime, TimeDelta, Utc};
use warmup::domain::id::MailboxId;

use super::Checker;

/// What the scenario promises.
#[derive(Clone, Copy, Debug, Default)]
pub struct WaitBound {
    /// While all is well.
    pub well: TimeDelta,
    /// What is added after a trouble of services or workers.
    pub recovery: TimeDelta,
}

/// A wait that ended, or that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub mailbox: MailboxId,
    pub waited: TimeDelta,
    pub bound: TimeDelta,
}

impl Wait {
    /// Which part of its bound it used, per mille.
    pub fn share(&self) -> i64 {
        1_000 * self.waited.num_milliseconds() / self.bound.num_milliseconds().max(1)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: TimeDelta| time.num_milliseconds() as f64 / 1_000.0;
        write!(f, "{:.1} s of {:.0} s", seconds(self.waited), seconds(self.bound))
    }
}

/// The mailboxes that wait.
#[derive(Debug, Default)]
pub(super) struct Waits {
    since: BTreeMap<MailboxId, DateTime<Utc>>,
    /// Those whose wait was found to be too long.
    late: BTreeSet<MailboxId>,
    bound: WaitBound,
    /// When the last trouble ended.
    well_since: DateTime<Utc>,
    longest: Option<Wait>,
}

impl Waits {
    fn of(&self, mailbox: MailboxId, now: DateTime<Utc>) -> Option<Wait> {
        let since = (*self.since.get(&mailbox)?).max(self.well_since);
        let recovering = (self.well_since + self.bound.recovery - since).max(TimeDelta::zero());
        Some(Wait { mailbox, waited: now - since, bound: self.bound.well + recovering })
    }

    fn note(&mut self, wait: Wait) {
        if self.longest.is_none_or(|longest| longest.share() < wait.share()) {
            self.longest = Some(wait);
        }
    }

    pub(super) fn longest(&self) -> Option<Wait> {
        self.longest
    }
}

impl Checker {
    /// Looks at the mailboxes that could send right now: each waits since it first could.
    pub fn could_send(&self, able: &BTreeSet<MailboxId>, bound: WaitBound, well_since: DateTime<Utc>) {
        let now = self.clock.now();
        let late: Vec<Wait> = {
            let mut books = self.books();
            let waits = &mut books.waits;
            (waits.bound, waits.well_since) = (bound, well_since);
            waits.since.retain(|mailbox, _| able.contains(mailbox));
            for mailbox in able {
                waits.since.entry(*mailbox).or_insert(now);
            }
            let all: Vec<Wait> = able.iter().filter_map(|mailbox| waits.of(*mailbox, now)).collect();
            all.iter().for_each(|wait| waits.note(*wait));
            waits.late.retain(|mailbox| waits.since.contains_key(mailbox));
            all.into_iter().filter(|wait| wait.waited > wait.bound && waits.late.insert(wait.mailbox)).collect()
        };
        for wait in late {
            self.violated(format!("I21: mailbox {} could send and waits for {wait}", wait.mailbox));
        }
    }

    /// Services or workers are in trouble: nobody is promised anything.
    pub fn nobody_waits(&self) {
        self.books().waits.since.clear();
    }

    /// A mail of `mailbox` is reserved: its wait is over.
    pub(super) fn is_served(&self, mailbox: MailboxId) {
        let (now, mut books) = (self.clock.now(), self.books());
        if let Some(wait) = books.waits.of(mailbox, now) {
            books.waits.note(wait);
        }
        books.waits.since.remove(&mailbox);
    }
}
