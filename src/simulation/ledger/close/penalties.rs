//! `Tables::apply_penalties` applies the penalties of an outcome to sender, partner, host and domain.
//!
//! It follows the statements `marks` to `told` of `close.sql`. Login refusals and failures before AUTH count for the
//! host as a whole and for the user's login there; each has a breaker.

mod refusals;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Days, TimeDelta, Utc};

use super::{Ending, UNCERTAIN};
use crate::{
    domain::{
        id::{FlightId, MailboxId, UserId},
        outcome::{
            Effects, OutcomeKind, Penalty, Stage,
            escalation::{EscalationSignal, StrikeResult},
        },
    },
    simulation::database::{Enrolled, LogRow, MailboxState, Tables},
};

/// A key of `pauses`: a host as a whole, or one user's login at a host.
type Place = (&'static str, String);

/// The successes of a batch at its hosts and logins: mails that passed AUTH, and answers.
#[derive(Default)]
pub(super) struct Welcome {
    /// The first success at each place that no other mail of the batch contradicts.
    recovers: BTreeMap<Place, DateTime<Utc>>,
    /// The last success at each place. A refusal before it concerns its mailbox only.
    last_in: BTreeMap<Place, DateTime<Utc>>,
    /// The time of the last answer for each host and step.
    answered: BTreeMap<(String, Stage), DateTime<Utc>>,
    /// The senders whose hosts gave no answer.
    unanswered: BTreeSet<MailboxId>,
}

impl Welcome {
    /// Returns whether a refusal at `at` came after the last success at the place.
    fn is_unbroken(&self, place: &Place, at: DateTime<Utc>) -> bool {
        self.last_in.get(place).is_none_or(|last| *last < at)
    }

    /// Returns whether `step` or a later step was answered since the missing answer at `at`.
    fn is_answered_since(&self, host: &str, step: Stage, at: DateTime<Utc>) -> bool {
        self.answered.iter().any(|((of, by), last)| of == host && *by >= step && *last >= at)
    }
}

impl Welcome {
    /// Returns whether a mail contradicts the recovery of a place. A missing answer concerns the host only, a pause
    /// concerns the user's login only.
    fn is_pressed(&self, end: &Ending, place: &Place) -> bool {
        let is_host = place.0 == "host";
        match (end.outcome.mark(), end.outcome.stalled()) {
            (Some(EscalationSignal::AccessDenied(_)), _) => self.is_unbroken(place, end.at),
            (_, Some(step)) => is_host && !self.is_answered_since(&place.1, step, end.at),
            _ => !is_host && end.outcome.effects.host.is_some_and(holds),
        }
    }
}

/// The time between two alerts of one user, host and reason.
const ALERT_ONCE_IN: TimeDelta = TimeDelta::hours(1);

impl Ending {
    /// Returns whether the outcome has no penalty, as most outcomes.
    fn concerns_nobody(&self) -> bool {
        self.outcome.effects == Effects::default() && self.outcome.mark().is_none()
    }
}

impl Tables {
    /// Collects the successes of a batch. A place with a success and a failure has not recovered. Returns nothing if no
    /// host is paused and no outcome has a penalty.
    pub(super) fn welcome(&self, ends: &[Ending]) -> Welcome {
        let mut welcome = Welcome::default();
        if self.pauses.is_empty() && ends.iter().all(Ending::concerns_nobody) {
            return welcome;
        }
        welcome.unanswered = refusals::unanswered(self, ends);
        for end in ends.iter().filter(|end| !end.is_reduced) {
            let Some([host, login]) = self.sender_of(end.flight).and_then(|sender| self.places_of(sender)) else {
                continue;
            };
            if let Some(step) = end.outcome.answered() {
                let last = welcome.answered.entry((host.1.clone(), step)).or_insert(end.at);
                *last = end.at.max(*last);
            }
            for place in [host, login].into_iter().filter(|_| end.outcome.passed_auth()) {
                let first = welcome.recovers.entry(place.clone()).or_insert(end.at);
                *first = end.at.min(*first);
                if !self.pauses.get(&place).is_some_and(|whole| whole.probing) {
                    let last = welcome.last_in.entry(place).or_insert(end.at);
                    *last = end.at.max(*last);
                }
            }
        }
        for end in ends {
            let Some(places) = self.sender_of(end.flight).and_then(|sender| self.places_of(sender)) else { continue };
            for place in places {
                if welcome.is_pressed(end, &place) {
                    welcome.recovers.remove(&place);
                }
            }
        }
        welcome
    }

    /// Ends the missing answers that were counted for a host and step before its last answer.
    pub(super) fn note_answers(&mut self, welcome: &Welcome) {
        for ((host, step), at) in &welcome.answered {
            if let Some(whole) = self.pauses.get_mut(&("host", host.clone())) {
                whole.answered(*step, *at);
            }
        }
    }

    /// Ends the pauses of places with a success, and enables the mailboxes that their breakers had disabled.
    pub(super) fn recover_hosts(&mut self, welcome: Welcome) {
        for (place, at) in welcome.recovers {
            let Some(whole) = self.pauses.get_mut(&place) else { continue };
            let recovery = whole.record_recovery(at);
            for mailbox in recovery.restored {
                self.restore(mailbox, &place);
            }
            if recovery.is_recovered {
                self.tell("host-recovered", None, "let-in");
            }
        }
    }

    fn restore(&mut self, mailbox: MailboxId, (_, key): &Place) {
        let is_there = |disabled: &Enrolled| *disabled.host == **key || *disabled.login == **key;
        let Some(disabled) = self.mailboxes.get_mut(&mailbox).filter(|disabled| is_there(disabled)) else { return };
        if let MailboxState::Stopped { reason, by_operator: false } = &disabled.sending {
            let reason = reason.clone();
            disabled.sending = MailboxState::Active;
            self.tell("sender-restored", Some(mailbox), &reason);
        }
    }

    pub(super) fn apply_penalties(&mut self, end: &Ending, sender: MailboxId, partner: MailboxId, welcome: &Welcome) {
        if end.is(OutcomeKind::Sent) {
            self.failures.remove(&sender);
        }
        if end.is_reduced {
            let reason = if end.outcome.reason.is_empty() { end.outcome.fate.as_str() } else { end.outcome.reason };
            return self.tell("result-reduced", Some(sender), reason);
        }
        let target = end.outcome.refusal_target();
        if end.concerns_nobody() && target.is_none() {
            return;
        }
        let (effects, reason) = (end.outcome.effects, end.outcome.reason);
        let spared = self.press_host(end, sender, welcome);
        let repeated = target.and_then(|target| self.count_failure((sender, target), welcome));
        let own = effects.sender.filter(|_| !spared);
        let is_longer = |pause: Duration| match own {
            Some(Penalty::Disable) => false,
            own => own.and_then(Penalty::pause).is_none_or(|time| time < pause),
        };
        match repeated.filter(|(pause, _)| is_longer(*pause)) {
            Some((pause, for_failures)) => self.stop_sender(sender, Penalty::Pause(pause), end.at, for_failures),
            None => own.into_iter().for_each(|measure| self.stop_sender(sender, measure, end.at, reason)),
        }
        match end.outcome.mark() {
            Some(EscalationSignal::Strike) => self.strike(sender, end.at, reason),
            Some(EscalationSignal::Ease) => self.ease(sender, end.at, reason),
            Some(EscalationSignal::Alert | EscalationSignal::HostRefusesUs) => self.alert(sender, end.at, reason),
            _ => {}
        }
        if let Some(measure) = effects.partner {
            self.blame_partner_for(end, sender, partner, measure);
        }
        if let Some(measure) = effects.domain
            && self.rest_domain(sender, end_of(measure, end.at))
        {
            self.tell("domain-paused", None, reason);
        }
    }

    /// Applies the penalty of the partner. `blame_partner` decides whether it applies for all senders.
    fn blame_partner_for(&mut self, end: &Ending, sender: MailboxId, partner: MailboxId, measure: Penalty) {
        let (said, told) = ((end.at, end_of(measure, end.at)), (end.outcome.reply.is_some(), end.outcome.reason));
        let Some(until) = self.blame_partner((sender, partner), said, told) else { return };
        let is_for_good = until == DateTime::<Utc>::MAX_UTC;
        let rest =
            if is_for_good { Penalty::Disable } else { Penalty::Pause((until - end.at).to_std().unwrap_or_default()) };
        if let Some(mailbox) = self.mailboxes.get_mut(&partner)
            && stand(&mut mailbox.receiving, rest, end.at, end.outcome.reason)
        {
            self.tell(kind("partner", "excluded", rest), Some(partner), end.outcome.reason);
        }
    }

    /// Applies the penalty of the sender's host. Returns whether the sender is spared its disabling.
    fn press_host(&mut self, end: &Ending, sender: MailboxId, welcome: &Welcome) -> bool {
        let Some(host) = self.host_of(sender) else { return false };
        self.fail_before_auth(end, sender, welcome);
        match end.outcome.mark() {
            Some(
                mark @ (EscalationSignal::Stalled(_)
                | EscalationSignal::HostTrouble
                | EscalationSignal::HostRefusesUs
                | EscalationSignal::HeloRefused),
            ) if !welcome.is_answered_since(&host, end.outcome.stage, end.at) => {
                let owners = self.owners_at(&host);
                let whole = self.pauses.entry(("host", host)).or_default();
                if whole.stall(sender, end.outcome.stage, end.at, &owners) {
                    self.tell("host-paused", None, mark.as_str());
                }
                false
            }
            Some(mark @ EscalationSignal::AccessDenied(_)) => self.shut_out(end, sender, mark, welcome),
            _ => false,
        }
    }

    /// Counts a failure before AUTH for the user's login, and for the host as a whole.
    fn fail_before_auth(&mut self, end: &Ending, sender: MailboxId, welcome: &Welcome) {
        let is_failure = end.outcome.mark() == Some(EscalationSignal::HostFailure);
        let pause = end.outcome.effects.host.filter(|measure| holds(*measure));
        let Some([host, login]) = self.places_of(sender).filter(|_| is_failure || pause.is_some()) else { return };
        let Some(owner) = self.mailboxes.get(&sender).map(|mailbox| mailbox.user) else { return };
        let endpoint = login.1.split_once(':').map_or_else(String::new, |(_, endpoint)| endpoint.to_owned());
        if let Some(measure) = pause
            && self.pauses.entry(login.clone()).or_default().pause(end_of(measure, end.at))
        {
            self.tell("host-paused", None, end.outcome.reason);
        }
        let counts_for = |place: &Place| !welcome.recovers.contains_key(place);
        let of_owner = is_failure && counts_for(&login) && self.pauses.entry(login).or_default().fail(end.at);
        let of_all = counts_for(&host) && self.pauses.entry(host).or_default().fail_for_all(&endpoint, owner, end.at);
        for _ in [of_owner, of_all].into_iter().filter(|is_paused| *is_paused) {
            self.tell("host-paused", None, end.outcome.reason);
        }
    }

    /// Counts a refused login for the sender's host and for its user's login there. Returns whether an open breaker
    /// spares the sender.
    fn shut_out(&mut self, end: &Ending, sender: MailboxId, mark: EscalationSignal, welcome: &Welcome) -> bool {
        let places = self.places_of(sender).into_iter().flatten();
        let mut is_spared = false;
        for place in places.filter(|place| welcome.is_unbroken(place, end.at)) {
            let tried = self.tried_at(&place, end.at);
            let owners = match place.0 {
                "host" => Some(self.mailboxes.values().map(|mailbox| (mailbox.id, mailbox.user)).collect()),
                _ => None,
            };
            let last_in = welcome.last_in.get(&place);
            let whole = self.pauses.entry(place).or_default();
            last_in.into_iter().for_each(|last| whole.forget_refusals(*last));
            let shut_out = match owners {
                Some(owners) => whole.shut_out_of_all(sender, end.at, &tried, &owners),
                None => whole.record_access_denied(sender, end.at, &tried),
            };
            if shut_out.opened {
                self.tell("host-paused", None, mark.as_str());
            }
            is_spared |= !shut_out.disabled;
        }
        is_spared
    }

    /// Returns the enabled mailboxes of a host, each with its user.
    fn owners_at(&self, host: &str) -> BTreeMap<MailboxId, UserId> {
        let of_it = self.mailboxes.values().filter(|mailbox| *mailbox.host == *host && !is_disabled(mailbox));
        of_it.map(|mailbox| (mailbox.id, mailbox.user)).collect()
    }

    /// Returns the enabled mailboxes of a place with an attempt on one of the days around `at`.
    fn tried_at(&self, (_, key): &Place, at: DateTime<Utc>) -> BTreeSet<MailboxId> {
        let (first, last) = (at.date_naive() - Days::new(1), at.date_naive() + Days::new(1));
        let tried = |mailbox: &MailboxId| {
            let mut days = self.days.range((*mailbox, first)..=(*mailbox, last));
            days.any(|(_, day)| day.attempts + day.reply_attempts > 0)
        };
        let is_there = |mailbox: &Enrolled| *mailbox.host == **key || *mailbox.login == **key;
        let of_it = self.mailboxes.values().filter(|mailbox| is_there(mailbox) && !is_disabled(mailbox));
        of_it.map(|mailbox| mailbox.id).filter(tried).collect()
    }

    fn stop_sender(&mut self, sender: MailboxId, measure: Penalty, at: DateTime<Utc>, reason: &str) {
        if let Some(mailbox) = self.mailboxes.get_mut(&sender)
            && stand(&mut mailbox.sending, measure, at, reason)
        {
            self.tell(kind("sender", "disabled", measure), Some(sender), reason);
        }
    }

    fn strike(&mut self, sender: MailboxId, at: DateTime<Utc>, reason: &str) {
        match self.records.entry(sender).or_default().strike(at) {
            StrikeResult::Counted => {}
            StrikeResult::Ease => self.ease(sender, at, reason),
            StrikeResult::Pause(until) => {
                let rest = (until - at).to_std().unwrap_or_default();
                self.stop_sender(sender, Penalty::Pause(rest), at, reason);
            }
        }
    }

    fn ease(&mut self, sender: MailboxId, at: DateTime<Utc>, reason: &str) {
        let record = self.records.entry(sender).or_default();
        let Some(mailbox) = self.mailboxes.get_mut(&sender).filter(|_| record.may_ease(at)) else { return };
        let eased = mailbox.ramp.eased(mailbox.grown);
        if eased < mailbox.grown {
            mailbox.grown = eased;
            record.eased(at);
            self.tell("sender-eased", Some(sender), reason);
        }
    }

    fn alert(&mut self, sender: MailboxId, at: DateTime<Utc>, reason: &'static str) {
        let Some(mailbox) = self.mailboxes.get(&sender) else { return };
        let key = (mailbox.user, mailbox.host.clone(), reason);
        if self.alerts.get(&key).is_none_or(|before| *before <= at - ALERT_ONCE_IN) {
            self.alerts.insert(key, at);
            self.tell("mail-alert", Some(sender), reason);
        }
    }

    fn sender_of(&self, flight: FlightId) -> Option<MailboxId> {
        let in_doubt = |row: &&LogRow| row.reason.as_deref() == Some(UNCERTAIN);
        let logged = || self.logs.get(&flight).filter(in_doubt).map(|row| row.mailbox);
        self.flights.get(&flight).map(|row| row.mailbox).or_else(logged)
    }

    /// Returns the host of a mailbox and its user's login there.
    fn places_of(&self, mailbox: MailboxId) -> Option<[Place; 2]> {
        let mailbox = self.mailboxes.get(&mailbox)?;
        Some([("host", mailbox.host.to_string()), ("login", mailbox.login.to_string())])
    }

    fn host_of(&self, mailbox: MailboxId) -> Option<String> {
        self.mailboxes.get(&mailbox).map(|mailbox| mailbox.host.to_string())
    }
}

/// Returns whether a penalty pauses or disables, and does not only count.
fn holds(measure: Penalty) -> bool {
    !matches!(measure, Penalty::Strike | Penalty::Stall)
}

fn is_disabled(mailbox: &Enrolled) -> bool {
    matches!(mailbox.sending, MailboxState::Stopped { by_operator: false, .. })
}

fn kind(whom: &str, for_good: &str, measure: Penalty) -> String {
    match measure {
        Penalty::Disable => format!("{whom}-{for_good}"),
        _ => format!("{whom}-paused"),
    }
}

/// Sets a state that ends later than the present one. Returns whether it did.
fn stand(standing: &mut MailboxState, measure: Penalty, at: DateTime<Utc>, reason: &str) -> bool {
    let (end, reason) = (end_of(measure, at), reason.to_owned());
    let changes = holds(measure)
        && match &*standing {
            MailboxState::Active => true,
            MailboxState::Paused { until, .. } => *until < end,
            MailboxState::Stopped { by_operator, .. } => *by_operator && measure == Penalty::Disable,
        };
    if changes {
        *standing = match measure {
            Penalty::Disable => MailboxState::Stopped { reason, by_operator: false },
            _ => MailboxState::Paused { until: end, reason },
        };
    }
    changes
}

fn end_of(measure: Penalty, at: DateTime<Utc>) -> DateTime<Utc> {
    let end = measure.pause().and_then(|time| at.checked_add_signed(TimeDelta::from_std(time).ok()?));
    end.unwrap_or(DateTime::<Utc>::MAX_UTC)
}
