//! A `HostWindow` limits the number of lanes that the mails to one mail host occupy at once.
//!
//! ```text
//!   begins with a quarter of the lanes
//!   answer within 10 s       + 1, up to all lanes
//!   answer after 10 s        one step towards a quarter
//!   timeout, lost connection half, down to 1
//! ```
//!
//! So a prompt host has all lanes, and a silent one soon holds a single lane, which tests if the host answers
//! again. A host is *in doubt* until its first prompt answer, and after each mail without one.

use std::time::Duration;

use super::outcome::{Outcome, OutcomeKind};

/// The longest prompt answer: a third of the default limit of one SMTP step, and more than most whole mails
/// take.
pub const IN_GOOD_TIME: Duration = Duration::from_secs(10);

/// The mails in a row without a prompt answer that make a host slow. One or two occur on every network.
const SLOW_AFTER: u32 = 3;

/// The reasons of mails that failed because the host did not answer or the connection broke.
const SILENT: &[&str] =
    &["timeout", "no-greeting", "host-unreachable", "connection-lost", "protocol-error", "tls-failed"];

/// The reasons that are based on an answer of the host that is not a reply.
const ANSWERED: &[&str] = &["certificate-bad", "starttls-missing", "auth-missing"];

/// The evidence of one mail about the speed of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostSign {
    /// The host answered within [`IN_GOOD_TIME`].
    Prompt,
    /// The host answered later.
    Slow,
    /// The host did not answer, or the connection broke.
    Silent,
    /// No evidence: no connection was opened, or the mail ended for a reason of our own.
    Nothing,
}

impl HostSign {
    /// Returns the evidence of `outcome` about the host of a mail that took `latency`.
    pub fn from_outcome(outcome: &Outcome, latency: Duration) -> HostSign {
        let has_answered = outcome.reply.is_some() || ANSWERED.contains(&outcome.reason);
        match outcome.fate {
            OutcomeKind::Unstarted => HostSign::Nothing,
            _ if has_answered && latency <= IN_GOOD_TIME => HostSign::Prompt,
            _ if has_answered => HostSign::Slow,
            OutcomeKind::Uncertain => HostSign::Silent,
            _ if SILENT.contains(&outcome.reason) => HostSign::Silent,
            _ => HostSign::Nothing,
        }
    }
}

/// The limit of lanes for one mail host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostWindow {
    size: usize,
    lanes: usize,
    is_known: bool,
    /// The mails in a row without a prompt answer.
    late_in_row: u32,
}

impl HostWindow {
    /// Returns the window of an unknown host, in a worker with this number of lanes.
    pub fn unknown(lanes: usize) -> HostWindow {
        HostWindow { size: quarter(lanes), lanes, is_known: false, late_in_row: 0 }
    }

    /// Returns a window of the maximum size.
    pub fn whole(lanes: usize) -> HostWindow {
        HostWindow { size: lanes.max(1), ..HostWindow::unknown(lanes) }
    }

    /// Returns the number of lanes that may be occupied at once; at least 1.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns true if no mail had evidence yet, or the last one with evidence had no prompt answer.
    pub fn is_in_doubt(&self) -> bool {
        !self.is_known || self.late_in_row > 0
    }

    /// Returns true if the last mail with evidence had no prompt answer.
    pub fn is_late(&self) -> bool {
        self.late_in_row > 0
    }

    /// Returns true if several mails in a row had no prompt answer and the window is at most a quarter of the
    /// lanes.
    pub fn is_slow(&self) -> bool {
        self.size <= quarter(self.lanes) && self.late_in_row >= SLOW_AFTER
    }

    /// Updates the window with the evidence of a mail.
    pub fn note(&mut self, sign: HostSign) {
        match sign {
            HostSign::Prompt => {
                self.size = (self.size + 1).min(self.lanes.max(1));
                (self.is_known, self.late_in_row) = (true, 0);
            }
            HostSign::Slow => {
                let quarter = quarter(self.lanes);
                self.size = if self.size > quarter { self.size - 1 } else { (self.size + 1).min(quarter) };
                self.late_in_row = self.late_in_row.saturating_add(1);
            }
            HostSign::Silent => {
                self.size = (self.size / 2).max(1);
                self.late_in_row = self.late_in_row.saturating_add(1);
            }
            HostSign::Nothing => {}
        }
    }
}

fn quarter(lanes: usize) -> usize {
    (lanes / 4).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::outcome::{
        Reply, Stage,
        classify::{DialogueEnd, classify_outcome},
    };

    fn after(signs: &[HostSign]) -> HostWindow {
        let mut window = HostWindow::unknown(20);
        signs.iter().for_each(|sign| window.note(*sign));
        window
    }

    #[test]
    fn answers_open_the_window_to_all_lanes_and_silence_closes_it_to_one() {
        assert_eq!(after(&[]).size(), 5);
        assert_eq!(after(&[HostSign::Prompt; 15]).size(), 20);
        assert_eq!(after(&[HostSign::Prompt; 99]).size(), 20);
        assert_eq!(after(&[HostSign::Silent; 1]).size(), 2);
        assert_eq!(after(&[HostSign::Silent; 9]).size(), 1);
    }

    #[test]
    fn a_slow_host_keeps_a_quarter_of_the_lanes() {
        let mut window = after(&[HostSign::Prompt; 15]);
        (0..50).for_each(|_| window.note(HostSign::Slow));
        assert_eq!(window.size(), 5);
        (0..9).for_each(|_| window.note(HostSign::Silent));
        (0..50).for_each(|_| window.note(HostSign::Slow));
        assert_eq!(window.size(), 5);
    }

    #[test]
    fn a_host_is_in_doubt_until_it_answers_in_time() {
        assert!(after(&[]).is_in_doubt() && after(&[HostSign::Slow]).is_in_doubt());
        assert!(!after(&[HostSign::Prompt]).is_in_doubt());
        assert!(after(&[HostSign::Prompt, HostSign::Silent]).is_in_doubt());
        assert!(!after(&[HostSign::Silent, HostSign::Prompt, HostSign::Nothing]).is_in_doubt());
    }

    #[test]
    fn three_mails_without_an_answer_in_time_make_a_host_slow_and_one_answer_ends_it() {
        assert!(!after(&[HostSign::Silent; 2]).is_slow() && after(&[HostSign::Silent; 3]).is_slow());
        assert!(!after(&[HostSign::Silent, HostSign::Silent, HostSign::Silent, HostSign::Prompt]).is_slow());
        let mut wide = after(&[HostSign::Prompt; 15]);
        wide.note(HostSign::Slow);
        assert!(!wide.is_slow(), "while it has many lanes it is not");
    }

    fn sign(stage: Stage, evidence: DialogueEnd, seconds: u64) -> HostSign {
        HostSign::from_outcome(&classify_outcome(stage, evidence), Duration::from_secs(seconds))
    }

    #[test]
    fn a_timeout_at_any_step_is_silence_and_any_reply_an_answer() {
        let steps = [Stage::Connect, Stage::Tls, Stage::Greeting, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data];
        for stage in steps.into_iter().chain([Stage::Dot]) {
            assert_eq!(sign(stage, DialogueEnd::Timeout, 30), HostSign::Silent, "{stage:?}");
            assert_eq!(sign(stage, DialogueEnd::Lost("reset".into()), 0), HostSign::Silent, "{stage:?}");
        }
        let refusal = DialogueEnd::Reply(Reply { code: 550, enhanced: None, text: String::new() });
        assert_eq!(sign(Stage::Rcpt, refusal.clone(), 1), HostSign::Prompt);
        assert_eq!(sign(Stage::Rcpt, refusal, 11), HostSign::Slow);
        assert_eq!(sign(Stage::Greeting, DialogueEnd::AuthMissing, 1), HostSign::Prompt);
    }

    #[test]
    fn what_is_our_own_doing_says_nothing_of_a_host() {
        for evidence in
            [DialogueEnd::NotStarted, DialogueEnd::SealBroken, DialogueEnd::LeaseLost, DialogueEnd::Cancelled]
        {
            assert_eq!(sign(Stage::Auth, evidence, 0), HostSign::Nothing);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_window_is_never_empty_and_never_larger_than_the_lanes(
            lanes in 1usize..50,
            signs in proptest::collection::vec(0u8..4, 0..100),
        ) {
            let all = [HostSign::Prompt, HostSign::Slow, HostSign::Silent, HostSign::Nothing];
            let mut window = HostWindow::unknown(lanes);
            for sign in signs {
                window.note(all[usize::from(sign)]);
                prop_assert!((1..=lanes).contains(&window.size()));
            }
        }
    }
}
