//! No state changes silently (I9): every change of a mailbox, a host, a domain or the fleet has an event.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use warmup::{
    domain::id::MailboxId,
    simulation::database::{EventRow, MailboxState},
};

use super::Checker;

/// Until when a host or domain is paused, and whether its breaker is open.
type Pause = (Option<DateTime<Utc>>, bool);

/// The states as they were at the last look.
#[derive(Debug, Default)]
pub(super) struct States {
    mailboxes: BTreeMap<MailboxId, (MailboxState, MailboxState)>,
    pauses: BTreeMap<(&'static str, String), Pause>,
    is_running: Option<bool>,
}

impl States {
    /// Returns what changed from these states to `later` without one of the `events`.
    fn silent_changes(&self, later: &States, events: &[EventRow]) -> Vec<String> {
        let told = |of: &str, mailbox: Option<MailboxId>| {
            events.iter().any(|event| event.kind.starts_with(of) && (mailbox.is_none() || event.mailbox == mailbox))
        };
        let mut silent = Vec::new();
        for (id, (sending, receiving)) in &later.mailboxes {
            let Some((sent_before, received_before)) = self.mailboxes.get(id) else { continue };
            let own = told("mailbox-", Some(*id));
            if sending != sent_before && !own && !told("sender-", Some(*id)) {
                silent.push(format!("I9: mailbox {id} goes from {sent_before:?} to {sending:?}, and no event says so"));
            }
            if receiving != received_before && !own && !told("partner-", Some(*id)) {
                silent
                    .push(format!("I9: partner {id} goes from {received_before:?} to {receiving:?} without an event"));
            }
        }
        for (key @ (scope, name), now) in &later.pauses {
            let before = self.pauses.get(key).copied().unwrap_or_default();
            if before != *now && !told(scope, None) {
                silent.push(format!("I9: {scope} {name} goes from {before:?} to {now:?} without an event"));
            }
        }
        if self.is_running.is_some_and(|before| Some(before) != later.is_running) && !told("fleet-", None) {
            silent.push(format!("I9: the fleet is running: {:?}, and no event says so", later.is_running));
        }
        silent
    }
}

impl Checker {
    /// Compares all states with those of the last look.
    pub(super) fn look_at_states(&self, events: &[EventRow]) {
        let later = self.states();
        let before = std::mem::replace(&mut self.books().states, later);
        let silent = before.silent_changes(&self.books().states, events);
        silent.into_iter().for_each(|change| self.violated(change));
    }

    /// The operator has changed something, whose commands write their own events.
    pub fn operated(&self) {
        let later = self.states();
        self.books().states = later;
        self.owners_changed();
        self.limits_are_over();
    }

    fn states(&self) -> States {
        let pauses = self.world.pause_facts().into_iter();
        States {
            mailboxes: self.world.mailbox_states().into_iter().collect(),
            pauses: pauses.map(|pause| ((pause.scope, pause.name), (pause.until, pause.is_probing))).collect(),
            is_running: Some(self.world.is_running()),
        }
    }
}
