//! This module counts stalls: timeouts and broken connections at AUTH or later, after the mail has named its
//! sender.
//!
//! A single mailbox's stall may be chance and pauses nothing. [`STALLED_MAILBOXES`] stalled mailboxes pause
//! their host as five failures in a row do, unless a mail was answered at that step since.
//! At a host with fewer mailboxes each stall counts as one failure once all of them stalled. At a host with
//! several users, the mailboxes must belong to two of them, so that one user's stalls pause it for no other
//! user.
//!
//! A 421 or 451 at such a step that says that the host is in trouble counts in this way. So does a reply that
//! it refuses our address. One sender's 421 never pauses the host for others.

use super::{Effects, Penalty, Stage, classify::DialogueEnd};

/// The number of mailboxes without an answer that pauses a host.
pub const STALLED_MAILBOXES: usize = 3;

/// The steps at which a missing answer counts, each with the reason of its pause.
pub const STEPS: [(Stage, &str); 5] = [
    (Stage::Auth, "stalled-at-auth"),
    (Stage::Mail, "stalled-at-mail"),
    (Stage::Rcpt, "stalled-at-rcpt"),
    (Stage::Data, "stalled-at-data"),
    (Stage::Dot, "stalled-at-dot"),
];

/// Returns the reason of a pause for missing answers at `stage`, or `None` if they do not count there.
pub fn reason(stage: Stage) -> Option<&'static str> {
    STEPS.iter().find(|(step, _)| *step == stage).map(|(_, reason)| *reason)
}

/// Returns the effects of `evidence` on the host, for a step at or after AUTH.
pub(super) fn effects(stage: Stage, evidence: &DialogueEnd) -> Effects {
    let is_silent = matches!(evidence, DialogueEnd::Timeout | DialogueEnd::Lost(_));
    Effects { host: reason(stage).filter(|_| is_silent).map(|_| Penalty::Stall), ..Effects::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::{OutcomeKind, classify::classify_outcome, escalation::EscalationSignal};

    /// Expands to one test per row of `STEPS`, with a timeout and a broken connection at that step.
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
