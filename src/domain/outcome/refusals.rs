//! This module pauses a sender after refusals in a row, or after failures of any kind in a row. The pauses
//! grow.
//!
//! The reply table judges one refusal by itself (`classify.rs`). A host that refuses a sender again and
//! again, without a success between, is believed whatever its words are. No client may submit sixty mails a
//! day to a host that refused sixty.
//!
//! ```text
//! a success, or a resume by the operator ──▶ both counts are 0
//! the host refuses the sender or an unknown side ──▶ refusals + 1, and from the 2nd on a pause: 15 min, 1 h, 4 h, 24 h
//! the host refuses the partner, or this pair ──▶ refusals + 1, and from the 5th on a pause: 4 h, 24 h
//! each of these, and any other failure ──▶ failures + 1, and from the 6th on a pause: 24 h
//!     no answer, or a failure before AUTH ──▶ from the 3rd failure on a pause: 15 min, 1 h, 4 h, 24 h
//!     the worker stopped the mail itself ──▶ nothing
//! ```
//!
//! A few dead partners may be chance, so they pause no sender. A host gets no second mail for a partner that
//! it refused (`blame.rs`). So five such refusals in a row are about different partners, and the sender or
//! its host is the cause.
//!
//! An outcome that by itself pauses the sender for four hours or longer is a failure, but no refusal in this
//! sense. The sixth failure bounds any mixture: a sender makes at most six attempts within 24 hours.
//!
//! A host that is down for all must not cost its mailboxes a day. Its own pauses (`escalation.rs`) are enough
//! under three conditions: five failures in a row paused it, no mail passed AUTH since, and three of its
//! mailboxes failed. Then a failure without an answer, or before AUTH, adds nothing to the count. A host with
//! one or two mailboxes can't meet these conditions.
//!
//! Only this file holds the constants. `close.sql` gets them as parameters.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Outcome, OutcomeKind, Penalty, Stage};

/// The reason of a pause for refusals in a row.
pub const REFUSED_IN_A_ROW: &str = "refused-in-a-row";
/// The reason of a pause for failures of any kind in a row.
pub const FAILED_IN_A_ROW: &str = "failed-in-a-row";

/// The pause in minutes after the n-th refusal in a row, if it is about the sender or an unknown side. The
/// last one repeats.
pub const SENDER_PAUSES_MINUTES: [i32; 5] = [0, 15, 60, 4 * 60, 24 * 60];

/// The pause in minutes after the n-th refusal in a row, if it is about the partner. The last one repeats.
pub const PAIR_PAUSES_MINUTES: [i32; 6] = [0, 0, 0, 0, 4 * 60, 24 * 60];

/// The pause in minutes after the n-th failure in a row, if it is about the host. Three attempts fit into a
/// short outage. The last one repeats, and applies to every kind of failure.
pub const HOST_PAUSES_MINUTES: [i32; 6] = [0, 0, 15, 60, 4 * 60, 24 * 60];

/// The failing mailboxes of a host from which its failures add nothing to the count of each mailbox.
pub const FAILING_MAILBOXES: usize = 3;

/// The shortest pause of an outcome that needs no additional pause for refusals.
const LONG_REST: Duration = Duration::from_hours(4);

/// The reasons that concern the sender and its partner together, and change neither's state.
const PAIR_REASONS: &[&str] = &["greylisted"];

/// The reasons of mails that the worker itself stopped.
const OWN_STOPS: &[&str] = &["cancelled", "lease-lost"];

/// The side that a counted failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalTarget {
    /// The sender, its host, or an unknown side.
    Sender,
    /// The partner, or the sender and its partner together.
    Pair,
    /// The host: it gave no answer, or failed before AUTH named the sender.
    Host,
    /// An outcome that pauses the sender by itself, or a failure on our side.
    Other,
}

/// The failures of a sender in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureCounts {
    /// The refusals by the host.
    pub refusals: u16,
    /// The failures of any kind, refusals included.
    pub failures: u16,
}

impl RefusalTarget {
    /// Returns the name of the target in the settle.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalTarget::Sender => "sender",
            RefusalTarget::Pair => "pair",
            RefusalTarget::Host => "host",
            RefusalTarget::Other => "other",
        }
    }

    /// Returns true if the host refused a mail of a named sender.
    pub fn is_refusal(self) -> bool {
        matches!(self, RefusalTarget::Sender | RefusalTarget::Pair)
    }
}

impl FailureCounts {
    /// Counts a failure about `target`.
    pub fn add(&mut self, target: RefusalTarget) {
        self.refusals = self.refusals.saturating_add(target.is_refusal().into());
        self.failures = self.failures.saturating_add(1);
    }

    /// Records a failure of a host that is down for all: it adds nothing to a count.
    pub fn excuse(&mut self) {
        self.failures = self.failures.max(1);
    }

    /// Returns the pause of the sender after its last failure, which is about `target`, with the pause's
    /// reason.
    pub fn pause(self, target: RefusalTarget) -> Option<(TimeDelta, &'static str)> {
        let for_refusals = match target {
            RefusalTarget::Sender => nth(&SENDER_PAUSES_MINUTES, self.refusals),
            RefusalTarget::Pair => nth(&PAIR_PAUSES_MINUTES, self.refusals),
            RefusalTarget::Host | RefusalTarget::Other => None,
        };
        let is_host = target == RefusalTarget::Host;
        let is_last = usize::from(self.failures) >= HOST_PAUSES_MINUTES.len();
        let for_failures = nth(&HOST_PAUSES_MINUTES, self.failures).filter(|_| is_host || is_last);
        match for_refusals >= for_failures {
            true => for_refusals.map(|pause| (pause, REFUSED_IN_A_ROW)),
            false => for_failures.map(|pause| (pause, FAILED_IN_A_ROW)),
        }
    }
}

/// Returns the pause at the `count`-th place, or the last one.
fn nth(pauses: &[i32], count: u16) -> Option<TimeDelta> {
    let place = usize::from(count).min(pauses.len()).checked_sub(1)?;
    (pauses[place] > 0).then(|| TimeDelta::minutes(pauses[place].into()))
}

impl Outcome {
    /// Returns the side that the failure is about, if it counts as a failure in a row.
    pub fn refusal_target(&self) -> Option<RefusalTarget> {
        let is_failure = match self.fate {
            OutcomeKind::Refused => !OWN_STOPS.contains(&self.reason),
            // An uncertain mail without a reason has no known dialogue with the host: its worker ended.
            OutcomeKind::Uncertain => !self.reason.is_empty(),
            OutcomeKind::Sent | OutcomeKind::Unstarted => false,
        };
        is_failure.then(|| match (self.is_refusal(), self.effects.host) {
            (true, _) if self.effects.partner.is_some() || PAIR_REASONS.contains(&self.reason) => RefusalTarget::Pair,
            (true, _) => RefusalTarget::Sender,
            (false, Some(_)) => RefusalTarget::Host,
            (false, None) => RefusalTarget::Other,
        })
    }

    /// Returns true if the host answered a named sender, and the outcome lets the sender try again soon.
    fn is_refusal(&self) -> bool {
        let is_answer = self.reply.is_some() || self.reason == "protocol-error";
        self.fate == OutcomeKind::Refused && self.stage >= Stage::Auth && is_answer && !self.has_long_rest()
    }

    /// Returns true if the outcome alone keeps the sender from trying again soon.
    fn has_long_rest(&self) -> bool {
        let of_sender = [self.effects.sender, self.effects.domain];
        of_sender.into_iter().flatten().any(|measure| match measure {
            Penalty::Disable => true,
            measure => measure.pause().is_some_and(|time| time >= LONG_REST),
        })
    }
}

#[cfg(test)]
mod tests;
