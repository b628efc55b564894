//! `Blame` stores the hosts' refusals of partners and domains: `partner_refusals` and `owner_pauses`, as in
//! `blame.sql`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Enrolled, MemoryDatabase, Tables};
use crate::domain::{
    id::{MailboxId, UserId},
    outcome::blame::{OwnerPause, PartnerRefusal, REFUSES_PARTNERS, is_suspect},
};

/// The rows of both tables.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation) struct Blame {
    /// The refusals by partner, host (name:port), and user of the refused mail.
    refusals: BTreeMap<(MailboxId, String, UserId), PartnerRefusal>,
    /// The pauses by user, scope, and domain or host.
    pauses: BTreeMap<(UserId, &'static str, String), OwnerPause>,
}

impl Blame {
    /// Returns whether `host` gets no mail for `partner` at `now`.
    pub(in crate::simulation) fn avoids(&self, partner: MailboxId, host: &str, now: DateTime<Utc>) -> bool {
        let first = (partner, host.to_owned(), UserId(i64::MIN));
        let of_pair = self.refusals.range(first..).take_while(|((of, by, _), _)| *of == partner && by == host);
        of_pair.into_iter().any(|(_, refusal)| refusal.until > now)
    }

    /// Returns whether that host or domain is paused for `user`.
    pub(in crate::simulation) fn rests(
        &self,
        user: UserId,
        scope: &'static str,
        key: &str,
        now: DateTime<Utc>,
    ) -> bool {
        !self.pauses.is_empty()
            && self.pauses.get(&(user, scope, key.to_owned())).is_some_and(|pause| pause.until > now)
    }

    /// Returns the pauses with user, scope, key and end.
    pub(super) fn pauses(&self) -> impl Iterator<Item = (UserId, &'static str, &str, DateTime<Utc>)> {
        self.pauses.iter().map(|((user, scope, key), pause)| (*user, *scope, key.as_str(), pause.until))
    }

    /// Returns the number of rows.
    pub(in crate::simulation) fn len(&self) -> usize {
        self.refusals.len() + self.pauses.len()
    }

    /// Deletes the rows whose end is old.
    pub(in crate::simulation) fn retain(&mut self, is_old: impl Fn(DateTime<Utc>) -> bool) {
        self.refusals.retain(|_, refusal| !is_old(refusal.until));
        self.pauses.retain(|_, pause| !is_old(pause.until));
    }

    /// Returns the end of the same refusal by the host of another user, if it counts at `at`.
    fn confirmed_until(&self, partner: MailboxId, user: UserId, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let first = (partner, String::new(), UserId(i64::MIN));
        let of_it = self.refusals.range(first..).take_while(|((of, ..), _)| *of == partner);
        let others = of_it.filter(|((_, _, by), _)| *by != user);
        others.filter(|(_, refusal)| refusal.confirms(at)).map(|(_, refusal)| refusal.said_until).max()
    }
}

impl Tables {
    /// Records that a host refused a mail of `sender` for `partner`, until `said_until`. Without `is_told` it is our
    /// own finding. Returns the end of the pause of the partner for all senders, if any.
    pub(in crate::simulation) fn blame_partner(
        &mut self,
        (sender, partner): (MailboxId, MailboxId),
        (at, said_until): (DateTime<Utc>, DateTime<Utc>),
        (is_told, reason): (bool, &str),
    ) -> Option<DateTime<Utc>> {
        let (by, of) = (self.mailboxes.get(&sender)?, self.mailboxes.get(&partner)?);
        let (user, host) = (by.user, by.place.to_string());
        let is_own = !is_told || of.user == user || of.place == by.place;
        let refusal = PartnerRefusal::new(at, said_until);
        let counts = refusal.concerns_the_partner();
        let confirmed = || self.blame.confirmed_until(partner, user, at).map(|until| until.min(said_until));
        let agreed = if is_own { Some(said_until) } else { confirmed() };
        if is_told {
            if counts && !is_own {
                self.tell("partner-avoided", None, reason);
            }
            let row = self.blame.refusals.entry((partner, host.clone(), user)).or_insert_with(|| refusal.clone());
            *row = PartnerRefusal { until: row.until.max(refusal.until), ..refusal };
            self.suspect(user, &host, at);
        }
        agreed.filter(|_| counts)
    }

    /// Pauses the mailboxes of `user` at `host` if the host refuses most partners.
    fn suspect(&mut self, user: UserId, host: &str, at: DateTime<Utc>) {
        let against = self.blame.refusals.iter().filter(|((_, by, of), _)| by == host && *of == user);
        let refused = against.filter(|(_, refusal)| refusal.is_against_the_host(at)).count();
        if !is_suspect(refused, self.taken(user, host, at)) {
            return;
        }
        let key = (user, "host", host.to_owned());
        if let Some(pause) = OwnerPause::of_suspect(self.blame.pauses.get(&key).copied(), at) {
            self.blame.pauses.insert(key, pause);
            self.tell("host-suspected", None, REFUSES_PARTNERS);
        }
    }

    /// Returns the number of mails of `user` that `host` accepted on the days around `at`.
    fn taken(&self, user: UserId, host: &str, at: DateTime<Utc>) -> u64 {
        let (first, last) = (at.date_naive() - TimeDelta::days(1), at.date_naive() + TimeDelta::days(1));
        let of_it = self.mailboxes.values().filter(|mailbox| mailbox.user == user && *mailbox.place == *host);
        let sent = |mailbox: &Enrolled| -> u64 {
            self.days.range((mailbox.id, first)..=(mailbox.id, last)).map(|(_, day)| u64::from(day.sent)).sum()
        };
        of_it.map(|mailbox| sent(mailbox)).sum()
    }

    /// Pauses the domain of `sender` for its user until `until`. Returns whether that extends the pause.
    pub(in crate::simulation) fn rest_domain(&mut self, sender: MailboxId, until: DateTime<Utc>) -> bool {
        let Some(mailbox) = self.mailboxes.get(&sender) else { return false };
        let key = (mailbox.user, "domain", mailbox.domain.to_string());
        let is_later = self.blame.pauses.get(&key).is_none_or(|earlier| earlier.until < until);
        if is_later {
            self.blame.pauses.insert(key, OwnerPause::new(until));
        }
        is_later
    }
}

impl MemoryDatabase {
    /// Ends all pauses of hosts and domains for single users, as the operator's command does.
    pub fn end_owner_pauses(&self) {
        self.tables().blame.pauses.clear();
    }

    /// Returns the hosts (name:port) that get no mail for a partner now, with the partner.
    pub fn avoided_pairs(&self) -> BTreeSet<(String, MailboxId)> {
        let (tables, now) = (self.tables(), self.clock.now());
        if tables.blame.refusals.is_empty() {
            return BTreeSet::new();
        }
        let hosts: BTreeSet<&str> = tables.mailboxes.values().map(|mailbox| &*mailbox.place).collect();
        let pairs = hosts.into_iter().flat_map(|host| tables.mailboxes.keys().map(move |partner| (host, *partner)));
        let avoided = pairs.filter(|(host, partner)| tables.blame.avoids(*partner, host, now));
        avoided.map(|(host, partner)| (host.to_owned(), partner)).collect()
    }

    /// Returns whether the host of `sender` gets no mail for `partner` now.
    pub fn avoids(&self, sender: MailboxId, partner: MailboxId) -> bool {
        let (tables, now) = (self.tables(), self.clock.now());
        tables.mailboxes.get(&sender).is_some_and(|mailbox| tables.blame.avoids(partner, &mailbox.place, now))
    }
}
