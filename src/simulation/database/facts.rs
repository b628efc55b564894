//! `MailboxFacts` and `PauseFacts` list all mailboxes and pauses at one instant, for the checker of a simulation.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::{DayRow, Enrolled, MailboxState, MemoryDatabase, Tables};
use crate::domain::{
    id::{MailboxId, UserId},
    outcome::escalation::HostState,
    time::{Schedule, today},
};

/// A mailbox with its today's row.
#[derive(Clone, Debug)]
pub struct MailboxFacts {
    pub id: MailboxId,
    pub user: UserId,
    /// The mail host, in lower case.
    pub host: Arc<str>,
    pub schedule: Schedule,
    pub enrolled_at: DateTime<Utc>,
    pub quota: u16,
    /// The date in the mailbox's own time zone.
    pub day: NaiveDate,
    pub row: DayRow,
    pub can_send: bool,
    /// True if no pause applies to it, and it has not received its maximum on its day.
    pub can_receive: bool,
    /// True if the breaker of its host or of its user's login there is open, so that one mailbox at a time tries.
    pub is_probing: bool,
    /// True if its user has no daily limit, or has not reached it.
    pub has_daily_room: bool,
}

/// A paused host or domain, for all users or for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseFacts {
    /// `host` or `domain`.
    pub scope: &'static str,
    pub name: String,
    pub until: Option<DateTime<Utc>>,
    pub is_probing: bool,
}

impl MemoryDatabase {
    /// Returns all mailboxes, by id.
    pub fn mailbox_facts(&self) -> Vec<MailboxFacts> {
        let (tables, now) = (self.tables(), self.clock.now());
        tables.mailboxes.keys().map(|id| tables.facts(*id, self.user_daily_cap, now)).collect()
    }

    /// Returns the number of enrolled mailboxes.
    pub fn mailbox_count(&self) -> usize {
        self.tables().mailboxes.len()
    }

    /// Returns whether `mailbox` probes its host: a breaker is open, and its pause is over.
    pub fn is_trying(&self, mailbox: MailboxId) -> bool {
        let (tables, now) = (self.tables(), self.clock.now());
        let mailbox = tables.mailboxes.get(&mailbox);
        mailbox.is_some_and(|mailbox| tables.probe(mailbox).is_some() && tables.may_send(mailbox, now))
    }

    /// Returns the state of each mailbox as a sender and as a partner, by id.
    pub fn mailbox_states(&self) -> Vec<(MailboxId, (MailboxState, MailboxState))> {
        let tables = self.tables();
        let states = |mailbox: &Enrolled| (mailbox.sending.clone(), mailbox.receiving.clone());
        tables.mailboxes.iter().map(|(id, mailbox)| (*id, states(mailbox))).collect()
    }

    /// Returns all hosts and domains with any counted failure.
    pub fn pause_facts(&self) -> Vec<PauseFacts> {
        let facts = |((_, name), whole): (&(&'static str, String), &HostState)| PauseFacts {
            // The events of a login name its host.
            scope: "host",
            name: name.clone(),
            until: whole.until,
            is_probing: whole.probing,
        };
        let tables = self.tables();
        let of_owner = |(user, scope, key, until): (UserId, &'static str, &str, DateTime<Utc>)| PauseFacts {
            scope,
            name: format!("{key} of user {user}"),
            until: Some(until),
            is_probing: false,
        };
        tables.pauses.iter().map(facts).chain(tables.blame.pauses().map(of_owner)).collect()
    }

    /// Returns the mailboxes of the roster of `day`.
    pub fn roster_of(&self, day: NaiveDate) -> Vec<MailboxId> {
        let tables = self.tables();
        let members = tables.rosters.get(&day).into_iter().flat_map(|roster| &roster.members);
        members.map(|member| member.mailbox).collect()
    }
}

impl Tables {
    fn facts(&self, id: MailboxId, user_daily_cap: f64, now: DateTime<Utc>) -> MailboxFacts {
        let mailbox = &self.mailboxes[&id];
        let day = today(mailbox.schedule.zone, now);
        let limit = self.limits.get(&mailbox.user).map(|limit| (f64::from(*limit) * user_daily_cap).floor() as u32);
        let used = self.user_days.get(&(mailbox.user, day)).copied().unwrap_or_default();
        MailboxFacts {
            id,
            user: mailbox.user,
            host: Arc::clone(&mailbox.host),
            schedule: mailbox.schedule,
            enrolled_at: mailbox.enrolled_at,
            quota: mailbox.quota(),
            day,
            row: self.days.get(&(id, day)).cloned().unwrap_or_default(),
            can_send: self.may_send(mailbox, now),
            can_receive: Tables::may_receive(mailbox, now) && self.receivable(mailbox, now).1 > 0,
            is_probing: self.probe(mailbox).is_some(),
            has_daily_room: limit.is_none_or(|limit| used < limit),
        }
    }
}
