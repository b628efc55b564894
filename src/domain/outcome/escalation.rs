//! This module computes the penalties that need several outcomes: host pauses, breakers and strikes.
//!
//! ```text
//! a host     5 failures in a row of two owners at one port and security, no login between ──▶ pause 5 min
//!                       ──fails again for two owners──▶ 15 min ──▶ 60 min
//!            3 mailboxes without an answer at a step (`stalls.rs`) ──▶ the pauses above
//!            half of the trying mailboxes refused at login (`breaker.rs`) ──▶ breaker: pause 1 h, then one mailbox
//!                                       at a time probes; each refused probe lengthens the next pause: 4 h, 24 h.
//!                                       From the refusal that opens the breaker on, no mailbox is disabled for it
//!            a mail passes AUTH after the pause ──▶ all counts are reset; the mailboxes that an open breaker had
//!                                                   disabled send again
//! a login    of one owner at one host, port and security: the breaker as above, and the pauses after 5 failures
//!            in a row, for these mailboxes only; the host's own pauses need the mailboxes of several owners
//! a sender   3 strikes within 24 h ──▶ eased (half the plan)   6 ──▶ pause 24 h
//!            eased at most once in 24 h; the ramp climbs again from there
//! ```
//!
//! A single failure of a host pauses no mailbox. At a host with thousands of mailboxes some connection always
//! fails, and the mailbox of the failed mail has its cooldown anyway. Mails in flight at the start of a pause
//! do not lengthen it. The strike count covers 24 hours from its first strike; the sixth strike ends the
//! count.
//!
//! The memory ledger of the simulation runs these rules. `close.sql` implements them on locked rows, and the conformance
//! suite checks both.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Outcome, OutcomeKind, Penalty, Stage,
    breaker::{REFUSALS_STORED, refusals_of_others, refusals_to_open},
    stalls,
    stalls::STALLED_MAILBOXES,
};
use crate::domain::id::{MailboxId, UserId};

/// The pauses of an open breaker: the first when it opens, each further one after a refused probe. The last
/// one repeats, so an open breaker costs at most three attempts within 24 hours.
const BREAKER_PAUSES: [TimeDelta; 3] = [TimeDelta::hours(1), TimeDelta::hours(4), TimeDelta::hours(24)];

/// The failures in a row that pause a host.
pub const FAILURES: u16 = 5;
/// The pauses of a failing host: the first one, the one after it fails again, and all later ones.
const FAILURE_PAUSES: [TimeDelta; 3] = [TimeDelta::minutes(5), TimeDelta::minutes(15), TimeDelta::minutes(60)];

/// The count that leads to the last of [`FAILURE_PAUSES`]; the count stops there.
const MOST_FAILURES: u16 = FAILURES + 2;

/// The strikes within a day that halve a sender's plan, and those that pause the sender.
pub const STRIKES_TO_EASE: u16 = 3;
pub const STRIKES_TO_PAUSE: u16 = 6;
const STRIKES_WITHIN: TimeDelta = TimeDelta::hours(24);
const STRIKES_PAUSE: TimeDelta = TimeDelta::hours(24);
const EASED_ONCE_IN: TimeDelta = TimeDelta::hours(24);

/// The signal that one outcome adds to a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EscalationSignal {
    /// The reply refuses the sender by policy.
    Strike,
    /// The sender sends too much at once: its plan is halved.
    Ease,
    /// The host failed before the login, or has no resources.
    HostFailure,
    /// The host gave no answer at this step.
    Stalled(Stage),
    /// The host says at a step after AUTH that it is in trouble.
    HostTrouble,
    /// The host says at a step after AUTH that it refuses our address. An operator should read this.
    HostRefusesUs,
    /// The host says at a step after AUTH that it refuses our EHLO name.
    HeloRefused,
    /// The host refuses the mailbox, which is disabled for it unless the host's breaker is open.
    AccessDenied(Breaker),
    /// No state changes, but an operator should read the reply.
    Alert,
}

/// The kind of login breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// The host has no valid certificate or no STARTTLS.
    Tls,
    Auth,
}

impl EscalationSignal {
    /// Returns the name of the signal in the settle. For a breaker and for signals that count as a stall it
    /// is also the reason of the host's pause.
    pub fn as_str(self) -> &'static str {
        match self {
            EscalationSignal::Strike => "strike",
            EscalationSignal::Ease => "ease",
            EscalationSignal::HostFailure => "host-failure",
            EscalationSignal::Stalled(stage) => stalls::reason(stage).unwrap_or("host-failure"),
            EscalationSignal::HostTrouble => "host-trouble",
            EscalationSignal::HostRefusesUs => "host-refuses-us",
            EscalationSignal::HeloRefused => "helo-refused",
            EscalationSignal::AccessDenied(Breaker::Tls) => "tls-breaker",
            EscalationSignal::AccessDenied(Breaker::Auth) => "auth-breaker",
            EscalationSignal::Alert => "alert",
        }
    }
}

/// The reasons that affect no side but that an operator should read: our own error, or an unknown cause.
const ALERTS: &[&str] =
    &["content-refused", "too-many-recipients", "message-unsendable", "seal-broken", "protocol-error", "refused"];

impl Outcome {
    /// Returns the signal that this outcome adds to a count, if any.
    pub fn mark(&self) -> Option<EscalationSignal> {
        match (self.effects.sender, self.effects.host) {
            (Some(Penalty::Strike), _) => Some(EscalationSignal::Strike),
            (Some(Penalty::PauseAndHalve(_)), _) => Some(EscalationSignal::Ease),
            (Some(Penalty::Disable), _) => self.shut_door().map(EscalationSignal::AccessDenied),
            (_, Some(Penalty::Strike)) => Some(EscalationSignal::HostFailure),
            (_, Some(Penalty::Stall)) => Some(match (&self.reply, self.reason) {
                (None, _) => EscalationSignal::Stalled(self.stage),
                (Some(_), "host-refuses-us") => EscalationSignal::HostRefusesUs,
                (Some(_), "helo-refused") => EscalationSignal::HeloRefused,
                (Some(_), _) => EscalationSignal::HostTrouble,
            }),
            _ => ALERTS.contains(&self.reason).then_some(EscalationSignal::Alert),
        }
    }

    /// Returns the step at which the host gave no answer, or no answer that lets a mail continue, if this
    /// counts as a stall.
    pub fn stalled(&self) -> Option<Stage> {
        (self.effects.host == Some(Penalty::Stall)).then_some(self.stage)
    }

    /// Returns the last step at which the host answered, if the mail reached the host.
    pub fn answered(&self) -> Option<Stage> {
        match self.reply {
            _ if self.fate == OutcomeKind::Unstarted => None,
            Some(_) if self.stalled().is_none() => Some(self.stage),
            _ => self.stage.previous(),
        }
    }

    /// Returns true if the mail passed AUTH on a host that was not in trouble.
    pub fn passed_auth(&self) -> bool {
        self.stage > Stage::Auth && self.effects.host.is_none() && self.shut_door().is_none()
    }

    /// Returns the breaker that this outcome counts for. The sender was disabled for a reason that could
    /// affect all mailboxes of its host: before or at AUTH, or by a reply at MAIL that asks for a login.
    fn shut_door(&self) -> Option<Breaker> {
        let asked_to_log_in = || self.reply.as_ref().is_some_and(|reply| matches!(reply.code, 530 | 535 | 538));
        match self.stage {
            _ if self.effects.sender != Some(Penalty::Disable) => None,
            Stage::Connect | Stage::Tls | Stage::Greeting => Some(Breaker::Tls),
            Stage::Auth => Some(Breaker::Auth),
            _ => asked_to_log_in().then_some(Breaker::Auth),
        }
    }
}

/// The state of a mail host as a whole, or of one owner's login at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostState {
    /// The end of the pause; no mailbox sends before it.
    pub until: Option<DateTime<Utc>>,
    /// The failures in a row; beyond [`FAILURES`] the number of failures after pauses.
    pub failures: u16,
    /// The mailboxes refused at login since the last success, with their times. The mailboxes that opened the
    /// breaker stay listed.
    pub refused: BTreeMap<MailboxId, DateTime<Utc>>,
    /// The first [`STALLED_MAILBOXES`] mailboxes without an answer, with the step. No mail was answered at
    /// that step since.
    pub stalled: BTreeMap<MailboxId, Stage>,
    /// True if the breaker opened and no mailbox logged in since.
    pub probing: bool,
    /// The number of pauses since the breaker opened, at most the length of [`BREAKER_PAUSES`].
    pub probes: usize,
    /// Of a host: the failures before AUTH of each owner at each endpoint (port and security), at most
    /// [`FAILURES`] each. They count since the last accepted login or the last pause for failures.
    pub failing: BTreeMap<String, BTreeMap<UserId, u16>>,
}

/// The effects of a mail that passed AUTH.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// True if the mail ended a condition that had paused the host.
    pub is_recovered: bool,
    /// The mailboxes that the breaker had disabled: they send again.
    pub restored: Vec<MailboxId>,
}

/// The effects of a refused login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessDenial {
    /// True if the mailbox is disabled for it.
    pub disabled: bool,
    /// True if a pause of the host began.
    pub opened: bool,
}

impl HostState {
    /// Returns true if the mailboxes of the host are paused at `now`.
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    /// Pauses the host until `until` if that is later than its current pause. Returns true if it is.
    pub fn pause(&mut self, until: DateTime<Utc>) -> bool {
        let later = self.until.is_none_or(|before| before < until);
        if later {
            self.until = Some(until);
        }
        later
    }

    /// Counts a failure. Returns true if a pause began.
    pub fn fail(&mut self, at: DateTime<Utc>) -> bool {
        if self.holds(at) {
            return false;
        }
        self.failures = (self.failures + 1).min(MOST_FAILURES);
        let step = self.failures.checked_sub(FAILURES).map(usize::from);
        step.is_some_and(|step| self.pause(at + FAILURE_PAUSES[step]))
    }

    /// Counts a failure before AUTH of a mailbox of `owner` at `endpoint`, for the host as a whole. Returns
    /// true if a pause of all its mailboxes began.
    ///
    /// One owner may have enrolled a wrong port or security, so each pause needs failures of two owners at
    /// one endpoint.
    pub fn fail_for_all(&mut self, endpoint: &str, owner: UserId, at: DateTime<Utc>) -> bool {
        if self.holds(at) {
            return false;
        }
        let of_owners = self.failing.entry(endpoint.to_owned()).or_default();
        let failures = of_owners.entry(owner).or_default();
        *failures = (*failures + 1).min(FAILURES);
        let is_enough = self.failures >= FAILURES || of_owners.values().sum::<u16>() >= FAILURES;
        if of_owners.len() < 2 || !is_enough {
            return false;
        }
        self.failing.clear();
        self.failures = self.failures.max(FAILURES - 1);
        self.fail(at)
    }

    /// Counts a mail of `mailbox` without an answer at `step`; `owners` maps the mailboxes of the host to
    /// their users. Returns true if a pause began.
    ///
    /// At a host with several users, stalls of one user's mailboxes alone never pause it.
    pub fn stall(
        &mut self,
        mailbox: MailboxId,
        step: Stage,
        at: DateTime<Utc>,
        owners: &BTreeMap<MailboxId, UserId>,
    ) -> bool {
        self.stalled.insert(mailbox, step);
        self.keep_stalls_of_several_users(owners);
        let users: BTreeSet<&UserId> = owners.values().collect();
        let stalled_users: BTreeSet<&UserId> = self.stalled.keys().filter_map(|stalled| owners.get(stalled)).collect();
        let several = self.stalled.len() >= STALLED_MAILBOXES && stalled_users.len() >= users.len().min(2);
        if several && !self.holds(at) {
            self.failures = self.failures.max(FAILURES - 1);
        }
        (several || self.stalled.len() >= owners.len()) && self.fail(at)
    }

    /// Limits the stalled mailboxes to the number that pauses the host, and keeps as many users as possible.
    /// So one user's mailboxes never displace those of another user.
    fn keep_stalls_of_several_users(&mut self, owners: &BTreeMap<MailboxId, UserId>) {
        while self.stalled.len() > STALLED_MAILBOXES {
            let mut of_user: BTreeMap<Option<&UserId>, Vec<MailboxId>> = BTreeMap::new();
            self.stalled.keys().for_each(|id| of_user.entry(owners.get(id)).or_default().push(*id));
            let Some(last) = of_user.into_values().max_by_key(Vec::len).and_then(|most| most.last().copied()) else {
                break;
            };
            self.stalled.remove(&last);
        }
    }

    /// Records that a mail was answered at `step`, and so at the steps before it.
    pub fn answered(&mut self, step: Stage, at: DateTime<Utc>) {
        if !self.holds(at) {
            self.stalled.retain(|_, stalled| *stalled > step);
        }
    }

    /// Counts a refused mailbox for its owner's breaker; `tried` are the owner's mailboxes that recently
    /// tried this login.
    pub fn record_access_denied(
        &mut self,
        mailbox: MailboxId,
        at: DateTime<Utc>,
        tried: &BTreeSet<MailboxId>,
    ) -> AccessDenial {
        self.refuse(mailbox, at, tried, None)
    }

    /// Counts a refused mailbox for the common breaker, to which one owner gives at most half of the
    /// refusals. `tried` are the mailboxes of the host that tried recently, and `owners` maps its mailboxes
    /// to their users.
    pub fn shut_out_of_all(
        &mut self,
        mailbox: MailboxId,
        at: DateTime<Utc>,
        tried: &BTreeSet<MailboxId>,
        owners: &BTreeMap<MailboxId, UserId>,
    ) -> AccessDenial {
        self.refuse(mailbox, at, tried, Some(owners))
    }

    fn refuse(
        &mut self,
        mailbox: MailboxId,
        at: DateTime<Utc>,
        tried: &BTreeSet<MailboxId>,
        owners: Option<&BTreeMap<MailboxId, UserId>>,
    ) -> AccessDenial {
        let was_probing = self.probing;
        if !was_probing {
            let is_new = self.refused.insert(mailbox, at).is_none();
            let others = self.refused.keys().filter(|refused| !tried.contains(refused)).count();
            let needed = refusals_to_open(tried.len() + others);
            let by_owner = owners.map(|owners| self.refused_by_owner(owners));
            let is_shared = by_owner.as_ref().is_none_or(|counts| {
                let most = counts.values().copied().max().unwrap_or_default();
                counts.values().sum::<usize>() - most >= refusals_of_others(needed)
            });
            self.probing = self.refused.len() >= needed && is_shared;
            let of_owner = owners.zip(by_owner).and_then(|(owners, counts)| counts.get(owners.get(&mailbox)?).copied());
            if !self.probing && is_new && of_owner.is_some_and(|count| count > REFUSALS_STORED) {
                self.refused.remove(&mailbox);
            }
        }
        let opens = self.probing && !(was_probing && self.holds(at));
        if opens {
            let earlier = if was_probing { self.probes } else { 0 };
            self.probes = (earlier + 1).min(BREAKER_PAUSES.len());
        }
        let opened = opens && self.pause(at + BREAKER_PAUSES[self.probes.saturating_sub(1)]);
        // The mailbox that opens the breaker is spared too: a host with three mailboxes needs one left to
        // probe.
        AccessDenial { disabled: !self.probing, opened }
    }

    /// Returns the number of refused mailboxes of each owner.
    fn refused_by_owner(&self, owners: &BTreeMap<MailboxId, UserId>) -> BTreeMap<UserId, usize> {
        let mut counts = BTreeMap::new();
        for owner in self.refused.keys().filter_map(|mailbox| owners.get(mailbox)) {
            *counts.entry(*owner).or_default() += 1;
        }
        counts
    }

    /// Removes the refusals up to `until`: a mail that passed AUTH then shows that each was the mailbox's own
    /// problem.
    pub fn forget_refusals(&mut self, until: DateTime<Utc>) {
        if !self.probing {
            self.refused.retain(|_, since| *since > until);
        }
    }

    /// Records that a mail passed AUTH, and returns the conditions that it ended.
    pub fn record_recovery(&mut self, at: DateTime<Utc>) -> Recovery {
        if self.holds(at) {
            return Recovery::default();
        }
        let is_recovered = self.probing || self.failures >= FAILURES;
        let restored = if self.probing { self.refused.keys().copied().collect() } else { Vec::new() };
        (self.failures, self.probing, self.probes) = (0, false, 0);
        self.failing.clear();
        self.forget_refusals(at);
        Recovery { is_recovered, restored }
    }
}

/// The strikes of a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderStrikes {
    strikes: u16,
    first_strike: Option<DateTime<Utc>>,
    eased_at: Option<DateTime<Utc>>,
}

/// The effect of a strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrikeResult {
    /// The strike is counted.
    Counted,
    /// The strike halves the plan.
    Ease,
    /// The strike pauses the mailbox until this instant.
    Pause(DateTime<Utc>),
}

impl SenderStrikes {
    /// Counts a strike and returns its effect.
    pub fn strike(&mut self, at: DateTime<Utc>) -> StrikeResult {
        if self.first_strike.is_none_or(|first| first <= at - STRIKES_WITHIN) {
            (self.strikes, self.first_strike) = (0, Some(at));
        }
        self.strikes += 1;
        match self.strikes {
            STRIKES_TO_EASE => StrikeResult::Ease,
            STRIKES_TO_PAUSE => {
                (self.strikes, self.first_strike) = (0, None);
                StrikeResult::Pause(at + STRIKES_PAUSE)
            }
            _ => StrikeResult::Counted,
        }
    }

    /// Returns true if the plan was not halved within [`EASED_ONCE_IN`].
    pub fn may_ease(&self, at: DateTime<Utc>) -> bool {
        self.eased_at.is_none_or(|before| before <= at - EASED_ONCE_IN)
    }

    /// Records that the plan was halved.
    pub fn eased(&mut self, at: DateTime<Utc>) {
        self.eased_at = Some(at);
    }
}

#[cfg(test)]
mod tests;
