//! Refusals in a row rest the sender, with pauses that grow.
//!
//! One refusal is judged by its own verdict (`judge`). A host that refuses a sender again and again, without a success in
//! between, is believed whatever its words are: nobody submits sixty mails a day to a host that refused sixty.
//!
//! ```text
//! a success, or a resume by the operator ──▶ the count is 0
//! the host refuses the sender, or nobody knows whom ──▶ count + 1, and from the 2nd on a pause: 15 min, 1 h, 4 h, 24 h
//! the host refuses the partner, or this pair ──▶ count + 1, and from the 5th on a pause: 4 h, 24 h
//! no answer, or our own failure ──▶ nothing: `stalls` and `breaker` judge hosts that do not answer
//! ```
//!
//! A few dead partners may be chance, so they rest no sender. A host gets no second mail for a partner that it refused
//! (`blame`), so five such refusals in a row are about different partners: the sender or its host is the cause.
//!
//! The pauses allow at most six attempts within 24 hours. A refusal that by itself rests the sender for four hours or
//! longer allows as few, so it neither counts nor ends the count. A reply before AUTH names no sender and does not count.
//!
//! The constants stand here alone. `close.sql` gets them as parameters.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Fate, Measure, Outcome, Stage};

/// The reason of the pause.
pub const REFUSED_IN_A_ROW: &str = "refused-in-a-row";

/// The pause in minutes after the n-th refusal in a row that is about the sender, or about nobody known. The last one
/// repeats.
pub const SENDER_PAUSES_MINUTES: [i32; 5] = [0, 15, 60, 4 * 60, 24 * 60];

/// The pause in minutes after the n-th refusal in a row, if that one is about the partner. The last one repeats.
pub const PAIR_PAUSES_MINUTES: [i32; 6] = [0, 0, 0, 0, 4 * 60, 24 * 60];

/// A verdict that rests the sender for this long allows six attempts within 24 hours.
const LONG_REST: Duration = Duration::from_hours(4);

/// Reasons that are about the sender and its partner together, and change neither's state.
const PAIR_REASONS: &[&str] = &["greylisted"];

/// The side that a counted refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalTarget {
    /// The sender, its host, or nobody known.
    Sender,
    /// The partner, or the sender and its partner together.
    Pair,
}

impl RefusalTarget {
    /// The word for it in the settle.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalTarget::Sender => "sender",
            RefusalTarget::Pair => "pair",
        }
    }

    fn pauses_minutes(self) -> &'static [i32] {
        match self {
            RefusalTarget::Sender => &SENDER_PAUSES_MINUTES,
            RefusalTarget::Pair => &PAIR_PAUSES_MINUTES,
        }
    }
}

/// Returns the pause of the sender after the `count`-th refusal in a row, which is about `target`, if it has one.
pub fn pause_after(count: u16, target: RefusalTarget) -> Option<TimeDelta> {
    let pauses = target.pauses_minutes();
    let place = usize::from(count).min(pauses.len()).checked_sub(1)?;
    (pauses[place] > 0).then(|| TimeDelta::minutes(pauses[place].into()))
}

impl Outcome {
    /// Returns the side that the refusal is about, if it counts as a refusal in a row.
    pub fn refusal_target(&self) -> Option<RefusalTarget> {
        let is_answer = self.reply.is_some() || self.reason == "protocol-error";
        if self.fate != Fate::Refused || self.stage < Stage::Auth || !is_answer || self.has_long_rest() {
            return None;
        }
        let is_pair = self.effects.partner.is_some() || PAIR_REASONS.contains(&self.reason);
        Some(if is_pair { RefusalTarget::Pair } else { RefusalTarget::Sender })
    }

    /// Says whether the verdict alone keeps the sender from trying again soon.
    fn has_long_rest(&self) -> bool {
        let of_sender = [self.effects.sender, self.effects.domain];
        of_sender.into_iter().flatten().any(|measure| match measure {
            Measure::Disable => true,
            measure => measure.pause().is_some_and(|time| time >= LONG_REST),
        })
    }
}

#[cfg(test)]
mod tests;
