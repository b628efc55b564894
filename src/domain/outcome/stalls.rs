//! Hosts that give no answer once a mail has named itself: a timeout, or a connection that broke, at AUTH or later.
//!
//! One mailbox's stall may be its own bad luck and rests nobody. Once [`STALLED_MAILBOXES`] mailboxes of a host met one,
//! and no mail was answered at that step since, the host is paused as after five failures in a row. At a host with fewer
//! mailboxes each stall counts as one failure once all of them met one. At a host that several users share, the mailboxes
//! must belong to two of them, so that one user's stalls pause it for nobody else.
//!
//! A 421 or a 451 that says at such a step that the host is in trouble counts in the same way, and so does a reply that it
//! does not want our address: one sender's 421 never rests the host for others.

use super::{Effects, Penalty, Stage, classify::DialogueEnd};

/// So many mailboxes of a host without an answer pause it.
pub const STALLED_MAILBOXES: usize = 3;

/// The steps at which a missing answer counts, each with the reason of the pause that it leads to.
pub const STEPS: [(Stage, &str); 5] = [
    (Stage::Auth, "stalled-at-auth"),
    (Stage::Mail, "stalled-at-mail"),
    (Stage::Rcpt, "stalled-at-rcpt"),
    (Stage::Data, "stalled-at-data"),
    (Stage::Dot, "stalled-at-dot"),
];

/// Returns the reason of a pause for missing answers at `stage`, where they count.
pub fn reason(stage: Stage) -> Option<&'static str> {
    STEPS.iter().find(|(step, _)| *step == stage).map(|(_, reason)| *reason)
}

/// Returns what `evidence` says about the host where a step at or after AUTH ended so.
pub(super) fn effects(stage: Stage, evidence: &DialogueEnd) -> Effects {
    let is_silent = matches!(evidence, DialogueEnd::Timeout | DialogueEnd::Lost(_));
    Effects { host: reason(stage).filter(|_| is_silent).map(|_| Penalty::Stall), ..Effects::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::{OutcomeKind, classify::classify_outcome, escalation::EscalationSignal};

    /// One test for each row of `STEPS`: what a timeout and a broken connection there mean.
    macro_rules! rows {
        ($($name:ident: $stage:ident $fate:ident $reason:literal $broken:literal $pause:literal;)+) => {
            $(
                #[test]
                fn $name() {
                    for (evidence, reason) in [(DialogueEnd::Timeout, $reason), (DialogueEnd::Lost("reset".into()), $broken)] {
                        let outcome = classify_outcome(Stage::$stage, evidence);
                        assert_eq!((outcome.fate, outcome.reason), (OutcomeKind::$fate, reason));
                        assert_eq!(outcome.effects, Effects { host: Some(Penalty::Stall), ..Effects::default() });
                        assert_eq!(outcome.mark().map(EscalationSignal::as_str), Some($pause));
                        assert_eq!((outcome.stalled(), outcome.answered()), (Some(Stage::$stage), Stage::$stage.previous()));
                        assert!(!outcome.passed_auth());
                    }
                }
            )+

            #[test]
            fn every_step_has_its_test() {
                assert_eq!(STEPS, [$((Stage::$stage, $pause)),+]);
            }
        };
    }

    rows! {
        no_answer_to_auth: Auth Refused "timeout" "connection-lost" "stalled-at-auth";
        no_answer_to_mail: Mail Refused "timeout" "connection-lost" "stalled-at-mail";
        no_answer_to_rcpt: Rcpt Refused "timeout" "connection-lost" "stalled-at-rcpt";
        no_answer_to_data: Data Refused "timeout" "connection-lost" "stalled-at-data";
        no_answer_to_the_dot: Dot Uncertain "uncertain" "uncertain" "stalled-at-dot";
    }

    #[test]
    fn what_we_ended_ourselves_says_nothing_about_the_host() {
        for (stage, _) in STEPS {
            for evidence in [DialogueEnd::Cancelled, DialogueEnd::LeaseLost, DialogueEnd::Garbled("hello".into())] {
                assert_eq!(classify_outcome(stage, evidence).effects.host, None, "{stage:?}");
            }
        }
    }
}
