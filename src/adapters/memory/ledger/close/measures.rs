//! Whom an answer concerns, and what follows for each: `marks` to `told` of `close.sql`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Ending, UNCERTAIN};
use crate::{
    adapters::memory::world::{LogRow, Standing, Tables},
    domain::{
        id::{FlightId, MailboxId},
        outcome::{
            Effects, Measure,
            standing::{Mark, Struck},
        },
    },
};

/// Each host past whose AUTH one of the mails got, with when, if nothing else was said about it.
pub(super) type Welcome = BTreeMap<String, DateTime<Utc>>;

/// An alert is told once an hour for each reason.
const ALERT_ONCE_IN: TimeDelta = TimeDelta::hours(1);

impl Ending {
    /// Says whether nothing follows from it for anybody, as from most.
    fn concerns_nobody(&self) -> bool {
        self.outcome.effects == Effects::default() && self.outcome.mark().is_none()
    }
}

impl Tables {
    /// Reads which hosts let a mail in. One that failed besides is not in trouble. Where no host is paused and none has
    /// failed, it concerns nobody.
    pub(super) fn welcome(&self, ends: &[Ending]) -> Welcome {
        let (mut welcome, mut pressed) = (Welcome::new(), BTreeSet::new());
        if self.pauses.is_empty() && ends.iter().all(Ending::concerns_nobody) {
            return welcome;
        }
        for end in ends {
            let Some(host) = self.sender_of(end.flight).and_then(|sender| self.host_of(sender)) else { continue };
            if end.outcome.was_let_in() {
                let at = welcome.entry(host).or_insert(end.at);
                *at = end.at.min(*at);
            } else if matches!(end.outcome.mark(), Some(Mark::ShutOut(_)))
                || end.outcome.effects.host.is_some_and(holds)
            {
                pressed.insert(host);
            }
        }
        welcome.retain(|host, _| !pressed.contains(host));
        welcome
    }

    /// Who was let in ends what had paused its host.
    pub(super) fn mend(&mut self, welcome: Welcome) {
        for (host, at) in welcome {
            if self.pauses.get_mut(&("host", host)).is_some_and(|whole| whole.let_in(at)) {
                self.tell("host-recovered", None, "let-in");
            }
        }
    }

    pub(super) fn take_measures(&mut self, end: &Ending, sender: MailboxId, partner: MailboxId, welcome: &Welcome) {
        if end.concerns_nobody() {
            return;
        }
        let (effects, reason) = (end.outcome.effects, end.outcome.reason);
        let spared = self.press_host(end, sender, welcome);
        if let Some(measure) = effects.sender.filter(|_| !spared) {
            self.stop_sender(sender, measure, end.at, reason);
        }
        match end.outcome.mark() {
            Some(Mark::Strike) => self.strike(sender, end.at, reason),
            Some(Mark::Ease) => self.ease(sender, end.at, reason),
            Some(Mark::Alert) => self.alert(sender, end.at, reason),
            _ => {}
        }
        if let Some((measure, mailbox)) = effects.partner.zip(self.mailboxes.get_mut(&partner))
            && stand(&mut mailbox.receiving, measure, end.at, reason)
        {
            self.tell(kind("partner", "excluded", measure), Some(partner), reason);
        }
        let Some(domain) = self.mailboxes.get(&sender).map(|mailbox| mailbox.domain.to_string()) else { return };
        self.pause_whole("domain", domain, effects.domain, end);
    }

    /// What the answer says about the sender's host. Returns whether the sender is spared its disabling.
    fn press_host(&mut self, end: &Ending, sender: MailboxId, welcome: &Welcome) -> bool {
        let Some(host) = self.host_of(sender) else { return false };
        self.pause_whole("host", host.clone(), end.outcome.effects.host, end);
        match end.outcome.mark() {
            Some(Mark::HostFailure) if !welcome.contains_key(&host) => {
                if self.pauses.entry(("host", host)).or_default().fail(end.at) {
                    self.tell("host-paused", None, end.outcome.reason);
                }
                false
            }
            Some(mark @ Mark::ShutOut(_)) => {
                let shut_out = self.pauses.entry(("host", host)).or_default().shut_out(sender, end.at);
                if shut_out.opened {
                    self.tell("host-paused", None, mark.as_str());
                }
                !shut_out.disabled
            }
            _ => false,
        }
    }

    fn pause_whole(&mut self, scope: &'static str, name: String, measure: Option<Measure>, end: &Ending) {
        let Some(until) = measure.filter(|measure| holds(*measure)).map(|measure| end_of(measure, end.at)) else {
            return;
        };
        if self.pauses.entry((scope, name)).or_default().pause(until) {
            self.tell(format!("{scope}-paused"), None, end.outcome.reason);
        }
    }

    fn stop_sender(&mut self, sender: MailboxId, measure: Measure, at: DateTime<Utc>, reason: &str) {
        if let Some(mailbox) = self.mailboxes.get_mut(&sender)
            && stand(&mut mailbox.sending, measure, at, reason)
        {
            self.tell(kind("sender", "disabled", measure), Some(sender), reason);
        }
    }

    fn strike(&mut self, sender: MailboxId, at: DateTime<Utc>, reason: &str) {
        match self.records.entry(sender).or_default().strike(at) {
            Struck::Counted => {}
            Struck::Ease => self.ease(sender, at, reason),
            Struck::Pause(until) => {
                let rest = (until - at).to_std().unwrap_or_default();
                self.stop_sender(sender, Measure::Pause(rest), at, reason);
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
        if self.alerts.get(reason).is_none_or(|before| *before <= at - ALERT_ONCE_IN) {
            self.alerts.insert(reason, at);
            self.tell("mail-alert", Some(sender), reason);
        }
    }

    fn sender_of(&self, flight: FlightId) -> Option<MailboxId> {
        let in_doubt = |row: &&LogRow| row.reason.as_deref() == Some(UNCERTAIN);
        let logged = || self.logs.get(&flight).filter(in_doubt).map(|row| row.mailbox);
        self.flights.get(&flight).map(|row| row.mailbox).or_else(logged)
    }

    fn host_of(&self, mailbox: MailboxId) -> Option<String> {
        self.mailboxes.get(&mailbox).map(|mailbox| mailbox.host.to_string())
    }
}

/// Says whether somebody is left alone, and not only counted against.
fn holds(measure: Measure) -> bool {
    measure != Measure::Strike
}

fn kind(whom: &str, for_good: &str, measure: Measure) -> String {
    match measure {
        Measure::Disable => format!("{whom}-{for_good}"),
        _ => format!("{whom}-paused"),
    }
}

/// Only what ends later than what is there changes anything. Returns whether it did.
fn stand(standing: &mut Standing, measure: Measure, at: DateTime<Utc>, reason: &str) -> bool {
    let (end, reason) = (end_of(measure, at), reason.to_owned());
    let changes = holds(measure)
        && match &*standing {
            Standing::Active => true,
            Standing::Paused { until, .. } => *until < end,
            Standing::Stopped { by_operator, .. } => *by_operator && measure == Measure::Disable,
        };
    if changes {
        *standing = match measure {
            Measure::Disable => Standing::Stopped { reason, by_operator: false },
            _ => Standing::Paused { until: end, reason },
        };
    }
    changes
}

fn end_of(measure: Measure, at: DateTime<Utc>) -> DateTime<Utc> {
    let end = measure.pause().and_then(|time| at.checked_add_signed(TimeDelta::from_std(time).ok()?));
    end.unwrap_or(DateTime::<Utc>::MAX_UTC)
}
