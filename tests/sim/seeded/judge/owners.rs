//! No owner pays for another (I20), looked at after every statement.
//!
//! A mailbox is *harmed* when it stops sending or receiving for longer than before, or its ramp shrinks. A settlement may
//! harm a mailbox only by a failure that concerns it:
//!
//! ```text
//! sending, ramp   a failed mail of the same owner; of a sender that reached its host's limit, only its own
//!                 mails of two owners that failed at its mail host; before AUTH at one port and security
//! receiving       a failed mail to it, if its sender is of the same owner or at the same host; if the hosts of two owners
//!                 refused it; or if our own check refused it. A sender's limit and a wrong password concern no partner.
//! a pair avoided  a host is kept from a partner only after it refused a mail to that partner
//! an event        names only a mailbox that the settlement may harm, or that sends again
//! ```
//!
//! No other statement harms anybody. The causes come from the simulated hosts, not from the table under test. A sender that
//! reached a limit also rests: it starts no mail for [`LIMIT_REST`].

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use warmup::{
    domain::{
        id::{MailboxId, UserId},
        outcome::{OutcomeKind, Stage},
    },
    ports::{Settlement, Submission},
    simulation::database::{EventRow, MailboxState, MemoryMailbox, SenderState},
};

use super::{By, Checker};
use crate::seeded::post::Cause;

/// A sender that reached a limit rests at least for this long, whatever words state the limit.
const LIMIT_REST: TimeDelta = TimeDelta::minutes(10);

/// The effective states as they were at the last look, and what hosts have said since the beginning.
#[derive(Debug, Default)]
pub(super) struct Owners {
    senders: BTreeMap<MailboxId, SenderState>,
    avoided: BTreeSet<(String, MailboxId)>,
    /// The causes of the refusals that simulated hosts made up, by Message-ID.
    causes: BTreeMap<String, Cause>,
    /// The owners whose mails failed at each host after they were named there, and before at each port and security of it.
    failed_at: BTreeMap<String, BTreeSet<UserId>>,
    /// The owners whose hosts refused each partner.
    refused_by: BTreeMap<MailboxId, BTreeSet<UserId>>,
    /// The hosts, with port, that refused each partner.
    refused_at: BTreeSet<(String, MailboxId)>,
    /// Until when a sender that reached a limit rests.
    limited: BTreeMap<MailboxId, DateTime<Utc>>,
}

/// A mail that failed, with both sides as they are enrolled.
struct Failure {
    sender: MemoryMailbox,
    partner: MemoryMailbox,
    cause: Option<Cause>,
    is_nameless: bool,
    is_our_finding: bool,
}

impl Failure {
    fn may_stop(&self, mailbox: MailboxId, owner: UserId, host: &str, owners: &Owners) -> bool {
        if self.cause == Some(Cause::Limit) {
            return self.sender.id == mailbox;
        }
        let failed_at = if self.is_nameless { endpoint(&self.sender) } else { host.to_lowercase() };
        let is_shared = || owners.failed_at.get(&failed_at).is_some_and(|failed| failed.len() > 1);
        self.sender.user == owner || (self.sender.endpoint.host.eq_ignore_ascii_case(host) && is_shared())
    }

    fn may_exclude(&self, partner: MailboxId, owners: &Owners) -> bool {
        let is_about_partner = !matches!(self.cause, Some(Cause::Limit | Cause::Password));
        let is_own = self.sender.user == self.partner.user || place(&self.sender) == place(&self.partner);
        let is_agreed = || owners.refused_by.get(&partner).is_some_and(|owners| owners.len() > 1);
        self.partner.id == partner && is_about_partner && (is_own || self.is_our_finding || is_agreed())
    }
}

impl Checker {
    /// A simulated host refuses `mail` for a cause that the worker does not know.
    pub fn refuses(&self, mail: &Submission, cause: Cause) {
        self.books().owners.causes.insert(mail.flight.message_id.clone(), cause);
    }

    /// The operator resumed mailboxes: a limited sender among them may try again.
    pub(super) fn limits_are_over(&self) {
        self.books().owners.limited.clear();
    }

    /// Returns what is wrong with a mail of `mailbox` that starts at `now`.
    pub(super) fn rests(&self, mailbox: MailboxId, now: DateTime<Utc>) -> Option<String> {
        let until = self.books().owners.limited.get(&mailbox).copied().filter(|until| *until > now)?;
        Some(format!("I20: mailbox {mailbox} reached its host's limit and does not rest until {until}"))
    }

    /// Forgets the last look: what changed since is an operator's, or of a database that was set back.
    pub(super) fn owners_changed(&self) {
        let (senders, avoided) = (self.world.sender_states(), self.world.avoided_pairs());
        let owners = &mut self.books().owners;
        (owners.senders, owners.avoided) = (senders, avoided);
    }

    /// Compares the effective states with those of the last look.
    pub(super) fn look_at_owners(&self, by: &By<'_>, events: &[EventRow]) {
        let failures = match by {
            By::Settle(results) => self.failures(results),
            _ => Vec::new(),
        };
        let (senders, avoided) = (self.world.sender_states(), self.world.avoided_pairs());
        let wrong = {
            let mut books = self.books();
            let owners = &mut books.owners;
            let mut wrong = owners.harms(&senders, &failures);
            let pairs = avoided.difference(&owners.avoided).filter(|pair| !owners.refused_at.contains(pair));
            wrong.extend(pairs.map(|(host, partner)| format!("I20: {host} avoids {partner}, which it never refused")));
            wrong.extend(owners.misdirected(events, &senders, &failures));
            (owners.senders, owners.avoided) = (senders, avoided);
            wrong
        };
        wrong.into_iter().for_each(|wrong| self.violated(wrong));
    }

    /// Returns the mails among `results` that failed, and notes what they say.
    fn failures(&self, results: &[Settlement]) -> Vec<Failure> {
        let failed =
            results.iter().filter(|result| !matches!(result.outcome.fate, OutcomeKind::Sent | OutcomeKind::Unstarted));
        failed.filter_map(|result| self.failure(result)).collect()
    }

    fn failure(&self, result: &Settlement) -> Option<Failure> {
        let (sender, partner) = (self.world.mailbox(result.mailbox)?, self.world.mailbox(result.partner)?);
        let owners = &mut self.books().owners;
        let cause = owners.causes.get(&result.mail.message_id).copied();
        let (is_nameless, is_our_finding) = (result.outcome.stage < Stage::Auth, result.outcome.reply.is_none());
        if cause == Some(Cause::Limit) {
            let rest = owners.limited.entry(sender.id).or_default();
            *rest = (*rest).max(result.at + LIMIT_REST);
        } else {
            let failed_at = if is_nameless { endpoint(&sender) } else { sender.endpoint.host.to_lowercase() };
            owners.failed_at.entry(failed_at).or_default().insert(sender.user);
        }
        if result.outcome.stage == Stage::Rcpt && !is_our_finding {
            owners.refused_by.entry(partner.id).or_default().insert(sender.user);
            owners.refused_at.insert((place(&sender), partner.id));
        }
        Some(Failure { sender, partner, cause, is_nameless, is_our_finding })
    }
}

impl Owners {
    /// Returns the harms from the last look to `later` that none of `failures` explains.
    fn harms(&self, later: &BTreeMap<MailboxId, SenderState>, failures: &[Failure]) -> Vec<String> {
        let mut harms = Vec::new();
        for (id, now) in later {
            let Some(before) = self.senders.get(id) else { continue };
            let is_stopped = (before.can_send && !now.can_send) || is_worse(&before.sending, &now.sending);
            let is_harmed = is_stopped || now.grown < before.grown;
            if is_harmed && !failures.iter().any(|failure| failure.may_stop(*id, now.owner, &now.host, self)) {
                harms.push(format!("I20: mailbox {id} of user {} pays: {before:?} becomes {now:?}", now.owner));
            }
            let is_excluded = is_worse(&before.receiving, &now.receiving);
            if is_excluded && !failures.iter().any(|failure| failure.may_exclude(*id, self)) {
                harms.push(format!("I20: partner {id} of user {} pays: {before:?} becomes {now:?}", now.owner));
            }
        }
        harms
    }

    /// Returns the events of a settlement that name a mailbox which it may not harm.
    fn misdirected(
        &self,
        events: &[EventRow],
        later: &BTreeMap<MailboxId, SenderState>,
        failures: &[Failure],
    ) -> Vec<String> {
        let may_name = |event: &EventRow| {
            let state = event.mailbox.and_then(|id| Some((id, later.get(&id)?)));
            let Some((id, state)) = state else { return true };
            match event.kind.as_str() {
                "partner-paused" | "partner-excluded" => failures.iter().any(|failure| failure.may_exclude(id, self)),
                "mail-alert" => failures.iter().any(|failure| failure.sender.id == id),
                "sender-restored" => true,
                kind if kind.starts_with("sender-") => {
                    failures.iter().any(|failure| failure.may_stop(id, state.owner, &state.host, self))
                }
                _ => true,
            }
        };
        let wrong = events.iter().filter(|event| !may_name(event));
        wrong.map(|event| format!("I20: the event {} names mailbox {:?}", event.kind, event.mailbox)).collect()
    }
}

/// Says whether `now` lasts longer than `before`.
fn is_worse(before: &MailboxState, now: &MailboxState) -> bool {
    let end = |state: &MailboxState| match state {
        MailboxState::Active => None,
        MailboxState::Paused { until, .. } => Some(*until),
        MailboxState::Stopped { .. } => Some(DateTime::<Utc>::MAX_UTC),
    };
    end(now) > end(before)
}

fn endpoint(mailbox: &MemoryMailbox) -> String {
    format!("{}/{}", place(mailbox), mailbox.endpoint.security)
}

fn place(mailbox: &MemoryMailbox) -> String {
    format!("{}:{}", mailbox.endpoint.host.to_lowercase(), mailbox.endpoint.port)
}
