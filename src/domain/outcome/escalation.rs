//! What several answers lead to that one alone does not.
//!
//! ```text
//! a host     5 failures in a row of two owners at one port and security, none let in between ──▶ pause 5 min
//!                       ──fails again for two owners──▶ 15 min ──▶ 60 min
//!            3 mailboxes without an answer at a step (`stalls`) ──▶ the same pauses
//!            half of the mailboxes that tried not let in (`breaker`) ──▶ breaker: pause 1 h, then one mailbox at a
//!                                       time is tried, and each one that is refused makes the next pause longer: 4 h,
//!                                       24 h; from the refusal that opens it on nobody is disabled for it
//!            a mail gets past AUTH once the pause is over ──▶ all is forgotten, and whom an open breaker had disabled
//!                                                             sends again
//! a login    of one owner at one host, port and security: the same breaker, and the same pauses after 5 failures in a
//!            row, for these mailboxes only; those of the host need the mailboxes of several owners
//! a sender   3 strikes within 24 h ──▶ eased (half the plan)   6 ──▶ pause 24 h
//!            eased at most once in 24 h; the ramp climbs again from there
//! ```
//!
//! A single failure of a host pauses nobody: of a host with thousands of mailboxes some connection always fails, and the
//! mailbox whose mail it was has its cooldown anyway. Those who were on their way when a pause began do not lengthen it.
//! A strike counts from the first of its 24 hours; the sixth ends the count.
//!
//! The ledger in memory runs these rules; `close.sql` says the same on locked rows, and the conformance suite holds both
//! to it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Outcome, OutcomeKind, Penalty, Stage,
    breaker::{REFUSALS_STORED, refusals_of_others, refusals_to_open},
    stalls,
    stalls::STALLED_MAILBOXES,
};
use crate::domain::id::{MailboxId, UserId};

/// The pauses of an open breaker: the first when it opens, each further one after an attempt that was not let in. The last
/// one repeats, so an open breaker costs at most three attempts within 24 hours.
const BREAKER_PAUSES: [TimeDelta; 3] = [TimeDelta::hours(1), TimeDelta::hours(4), TimeDelta::hours(24)];

/// Failures in a row that pause a host.
pub const FAILURES: u16 = 5;
/// For how long: at first, when it fails again after that, and from then on.
const FAILURE_PAUSES: [TimeDelta; 3] = [TimeDelta::minutes(5), TimeDelta::minutes(15), TimeDelta::minutes(60)];

/// The count that leads to the last of [`FAILURE_PAUSES`]; it rises no further.
const MOST_FAILURES: u16 = FAILURES + 2;

/// Strikes within a day after which a sender's plan is halved, and after which it rests.
pub const STRIKES_TO_EASE: u16 = 3;
pub const STRIKES_TO_PAUSE: u16 = 6;
const STRIKES_WITHIN: TimeDelta = TimeDelta::hours(24);
const STRIKES_PAUSE: TimeDelta = TimeDelta::hours(24);
const EASED_ONCE_IN: TimeDelta = TimeDelta::hours(24);

/// What one outcome adds to a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EscalationSignal {
    /// Policy against the sender.
    Strike,
    /// Too much at once: the sender's plan is halved.
    Ease,
    /// The host did not get as far as to ask who we are, or has no resources.
    HostFailure,
    /// The host gave no answer at this step.
    Stalled(Stage),
    /// The host says at a step after AUTH that it is in trouble.
    HostTrouble,
    /// The host says at a step after AUTH that it does not want the address that we come from. Somebody should read it.
    HostRefusesUs,
    /// The host says at a step after AUTH that it does not want the name that we give in EHLO.
    HeloRefused,
    /// The host does not let the mailbox in, for which it is disabled, unless the host's breaker is open.
    AccessDenied(Breaker),
    /// Nobody's standing changes; somebody should read it.
    Alert,
}

/// Which door was shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Certificate or STARTTLS.
    Tls,
    Auth,
}

impl EscalationSignal {
    /// The word for it in the settle; of a breaker and of what counts as a stall also the reason of the host's pause.
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

/// Reasons that concern nobody and that an operator should read all the same: our own fault, or nobody knows whose.
const ALERTS: &[&str] =
    &["content-refused", "too-many-recipients", "message-unsendable", "seal-broken", "protocol-error", "refused"];

impl Outcome {
    /// What it adds to a count, if anything.
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

    /// Returns the step at which the host gave no answer, or none that lets a mail go on, where that counts.
    pub fn stalled(&self) -> Option<Stage> {
        (self.effects.host == Some(Penalty::Stall)).then_some(self.stage)
    }

    /// Returns the last step at which the host answered, if it was asked anything.
    pub fn answered(&self) -> Option<Stage> {
        match self.reply {
            _ if self.fate == OutcomeKind::Unstarted => None,
            Some(_) if self.stalled().is_none() => Some(self.stage),
            _ => self.stage.previous(),
        }
    }

    /// The mail got past AUTH on a host that was not in trouble.
    pub fn passed_auth(&self) -> bool {
        self.stage > Stage::Auth && self.effects.host.is_none() && self.shut_door().is_none()
    }

    /// Whether the sender was disabled for what all mailboxes of its host could meet alike: at the door, or by a server
    /// that says at MAIL that we did not come through it.
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

/// How a mail host, or one owner's login at it, stands as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostState {
    /// Nobody sends before this.
    pub until: Option<DateTime<Utc>>,
    /// Failures in a row; beyond [`FAILURES`] how often it failed again after a pause.
    pub failures: u16,
    /// The mailboxes that it has not let in since it let one in, and when: those that opened its breaker are kept.
    pub refused: BTreeMap<MailboxId, DateTime<Utc>>,
    /// The first [`STALLED_MAILBOXES`] mailboxes that it did not answer, and at which step: no mail was answered there since.
    pub stalled: BTreeMap<MailboxId, Stage>,
    /// Its breaker opened, and nobody was let in since.
    pub probing: bool,
    /// The number of pauses since the breaker opened, at most as many as [`BREAKER_PAUSES`] has.
    pub probes: usize,
    /// Of a host: the failures before AUTH of each owner at each endpoint (port and security), at most [`FAILURES`] each, since
    /// the host let a mail in or was paused for failures.
    pub failing: BTreeMap<String, BTreeMap<UserId, u16>>,
}

/// What a mail that was let in ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// It ended what had paused the host.
    pub is_recovered: bool,
    /// The mailboxes that the breaker had disabled: they send again.
    pub restored: Vec<MailboxId>,
}

/// What became of a mailbox that was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessDenial {
    /// It is disabled for it.
    pub disabled: bool,
    /// The host's pause began, or began again.
    pub opened: bool,
}

impl HostState {
    /// Says whether its mailboxes are left alone at `now`.
    pub fn holds(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until > now)
    }

    /// Pauses until then, if that is later. Returns whether it is.
    pub fn pause(&mut self, until: DateTime<Utc>) -> bool {
        let later = self.until.is_none_or(|before| before < until);
        if later {
            self.until = Some(until);
        }
        later
    }

    /// Counts a failure. Returns whether a pause began.
    pub fn fail(&mut self, at: DateTime<Utc>) -> bool {
        if self.holds(at) {
            return false;
        }
        self.failures = (self.failures + 1).min(MOST_FAILURES);
        let step = self.failures.checked_sub(FAILURES).map(usize::from);
        step.is_some_and(|step| self.pause(at + FAILURE_PAUSES[step]))
    }

    /// Counts a failure before AUTH of a mailbox of `owner` at `endpoint` for the host as a whole. Returns whether a pause of
    /// all its mailboxes began.
    ///
    /// One owner may have enrolled a wrong port or security, so each pause needs failures of two owners at one endpoint.
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

    /// Counts a mail of `mailbox` that got no answer at `step`. `owners` are the mailboxes of the host, each with its user.
    /// Returns whether a pause began.
    ///
    /// At a host that several users share, the mailboxes of one user alone pause it for nobody.
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

    /// Keeps as many stalled mailboxes as open the breaker, and of as many users as there are: one user's mailboxes leave
    /// no other's out of the count.
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

    /// A mail was answered at `step`, and so at the steps before it.
    pub fn answered(&mut self, step: Stage, at: DateTime<Utc>) {
        if !self.holds(at) {
            self.stalled.retain(|_, stalled| *stalled > step);
        }
    }

    /// Counts a mailbox that was not let in for its owner's breaker. `tried` are the owner's mailboxes at that place that
    /// tried lately.
    pub fn record_access_denied(
        &mut self,
        mailbox: MailboxId,
        at: DateTime<Utc>,
        tried: &BTreeSet<MailboxId>,
    ) -> AccessDenial {
        self.refuse(mailbox, at, tried, None)
    }

    /// Counts a mailbox that was not let in for the common breaker, of which one owner gives at most half of the refusals.
    /// `tried` are the mailboxes of the host that tried lately, `owners` the users of its mailboxes.
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
        // Also the mailbox that opens it is spared: at a host with three somebody must be left to try.
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

    /// A mail got past AUTH before the refusals that follow: those before it were each one's own matter.
    pub fn forget_refusals(&mut self, until: DateTime<Utc>) {
        if !self.probing {
            self.refused.retain(|_, since| *since > until);
        }
    }

    /// A mail got past AUTH. Returns what that ended.
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

/// What a sender has collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderStrikes {
    strikes: u16,
    first_strike: Option<DateTime<Utc>>,
    eased_at: Option<DateTime<Utc>>,
}

/// What a strike leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrikeResult {
    /// It is counted.
    Counted,
    /// The plan is halved.
    Ease,
    /// The mailbox rests until then.
    Pause(DateTime<Utc>),
}

impl SenderStrikes {
    /// Counts a strike.
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

    /// Says whether its plan was not halved lately.
    pub fn may_ease(&self, at: DateTime<Utc>) -> bool {
        self.eased_at.is_none_or(|before| before <= at - EASED_ONCE_IN)
    }

    /// Its plan was halved.
    pub fn eased(&mut self, at: DateTime<Utc>) {
        self.eased_at = Some(at);
    }
}

#[cfg(test)]
mod tests;
