//! `classify_outcome` turns the end of an SMTP dialogue into an outcome.
//!
//! The final dot is the boundary (RFC 5321 section 6.1). Before its write has begun, the server must discard
//! the mail, so every failure is definite. After that only a complete reply is definite: 2yz means sent, 4yz
//! and 5yz mean refused. Anything else, from a reset to half a reply, leaves the mail uncertain for good.

use std::time::Duration;

use super::{Effects, Outcome, OutcomeKind, Penalty, Reply, Stage, stalls, table};

/// The event that ended a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialogueEnd {
    /// A complete reply (RFC 5321 section 4.2) that does not let the dialogue continue, or the reply to the
    /// final dot.
    Reply(Reply),
    /// No reply, or half a reply, within the time of the step.
    Timeout,
    /// No byte before the greeting, on a connection without TLS.
    GreetingMissing,
    /// A connection that was refused, closed or reset, or a host name that was not found.
    Lost(String),
    /// Bytes that are not an SMTP reply.
    Garbled(String),
    /// A certificate that is for another host, from an untrusted root, or out of date.
    CertificateBad(String),
    /// A TLS handshake that failed for another reason.
    TlsFailed(String),
    /// A host without STARTTLS, for a mailbox that needs it.
    StarttlsMissing,
    /// A host without an AUTH mechanism that this client supports.
    AuthMissing,
    /// A host whose addresses are all private, while the settings forbid them.
    PrivateHost(String),
    /// A mailbox without encryption, while the settings forbid it.
    PlaintextRefused,
    /// A stored password that does not open under the master key.
    SealBroken,
    /// A mail of which no message can be made, or none that this host accepts.
    Unsendable(String),
    /// A sender address that is invalid.
    SenderAddress(String),
    /// A partner address that is invalid; no mailbox can send to it.
    PartnerAddress(String),
    /// The end of the time that a stopping worker gives its mails.
    Cancelled,
    /// A shard lease that may have ended.
    LeaseLost,
    /// A mail that was dropped before any work on it.
    NotStarted,
}

/// Classifies a dialogue that ended at `stage` with `evidence`.
pub fn classify_outcome(stage: Stage, evidence: DialogueEnd) -> Outcome {
    let note = evidence.note();
    match (stage, evidence) {
        (_, DialogueEnd::NotStarted) | (Stage::Connect, DialogueEnd::Cancelled | DialogueEnd::LeaseLost) => {
            Outcome { fate: OutcomeKind::Unstarted, stage, reason: "", reply: None, effects: Effects::default(), note }
        }
        (_, DialogueEnd::Reply(reply)) => judge_reply(stage, reply),
        (Stage::Dot, evidence) => Outcome { effects: stalls::effects(Stage::Dot, &evidence), ..uncertain(None, note) },
        (_, evidence) => {
            let (reason, effects) = evidence.says(stage);
            Outcome { fate: OutcomeKind::Refused, stage, reason, reply: None, effects, note }
        }
    }
}

fn judge_reply(stage: Stage, reply: Reply) -> Outcome {
    let row = table::row_for(stage, &reply);
    let note = reply.text.clone();
    match row.fate {
        OutcomeKind::Uncertain => uncertain(Some(reply), note),
        fate => {
            let effects = row.effects_of(&reply);
            Outcome { fate, stage, reason: row.reason, reply: Some(reply), effects, note }
        }
    }
}

fn uncertain(reply: Option<Reply>, note: String) -> Outcome {
    let effects = Effects::default();
    Outcome { fate: OutcomeKind::Uncertain, stage: Stage::Dot, reason: "uncertain", reply, effects, note }
}

impl DialogueEnd {
    /// Returns the reason and the effects of an end without a reply, before the final dot.
    fn says(&self, stage: Stage) -> (&'static str, Effects) {
        match self {
            DialogueEnd::Timeout => ("timeout", no_answer(stage, self)),
            DialogueEnd::GreetingMissing => ("no-greeting", trouble(stage)),
            DialogueEnd::Lost(_) if stage == Stage::Connect => ("host-unreachable", no_answer(stage, self)),
            DialogueEnd::Lost(_) => ("connection-lost", no_answer(stage, self)),
            DialogueEnd::Garbled(_) | DialogueEnd::Reply(_) => ("protocol-error", trouble(stage)),
            DialogueEnd::TlsFailed(_) => ("tls-failed", trouble(stage)),
            // Configuration or attack: a retry helps in neither case, and the mailbox sends nothing
            // meanwhile.
            DialogueEnd::CertificateBad(_) => ("certificate-bad", sender(Penalty::Disable)),
            DialogueEnd::StarttlsMissing => ("starttls-missing", sender(Penalty::Disable)),
            DialogueEnd::AuthMissing => ("auth-missing", sender(Penalty::Disable)),
            // The operator can correct this: the pause ends by itself after the setting is changed.
            DialogueEnd::PrivateHost(_) => ("private-host", host(HOUR)),
            DialogueEnd::PlaintextRefused => ("plaintext-refused", sender(HOUR)),
            DialogueEnd::SealBroken => ("seal-broken", Effects::default()),
            DialogueEnd::Unsendable(_) => ("message-unsendable", Effects::default()),
            // A pause, not a disable: a sender that is disabled before AUTH counts against its host.
            DialogueEnd::SenderAddress(_) => ("message-unsendable", sender(DAY)),
            DialogueEnd::PartnerAddress(_) => {
                ("message-unsendable", Effects { partner: Some(Penalty::Disable), ..Effects::default() })
            }
            DialogueEnd::Cancelled => ("cancelled", Effects::default()),
            DialogueEnd::LeaseLost | DialogueEnd::NotStarted => ("lease-lost", Effects::default()),
        }
    }

    fn note(&self) -> String {
        match self {
            DialogueEnd::Reply(reply) => reply.text.clone(),
            DialogueEnd::Lost(text)
            | DialogueEnd::Garbled(text)
            | DialogueEnd::CertificateBad(text)
            | DialogueEnd::TlsFailed(text)
            | DialogueEnd::PrivateHost(text)
            | DialogueEnd::Unsendable(text)
            | DialogueEnd::SenderAddress(text)
            | DialogueEnd::PartnerAddress(text) => text.clone(),
            DialogueEnd::Timeout => "no complete reply in time".into(),
            DialogueEnd::GreetingMissing => {
                "no greeting in time: the port may speak TLS from the start; if it does, use security tls".into()
            }
            DialogueEnd::StarttlsMissing => "the host does not offer STARTTLS; use security tls if it has port 465".into(),
            DialogueEnd::AuthMissing => "the host offers neither AUTH PLAIN nor AUTH LOGIN".into(),
            DialogueEnd::PlaintextRefused => "security none needs WARMUP_ALLOW_PLAINTEXT=true".into(),
            DialogueEnd::SealBroken => {
                "the password does not open: it was sealed under another WARMUP_MASTER_KEY, or given for another mail host; \
                 give it again"
                    .into()
            }
            DialogueEnd::Cancelled => "the worker was stopping".into(),
            DialogueEnd::LeaseLost => "the lease of the shard can have run out".into(),
            DialogueEnd::NotStarted => String::new(),
        }
    }
}

/// Returns the effects of a missing answer. Before the sender is named it is a failure of the host. Later it
/// becomes one once several mailboxes of the host met it.
fn no_answer(stage: Stage, evidence: &DialogueEnd) -> Effects {
    match trouble(stage) {
        Effects { host: None, .. } => stalls::effects(stage, evidence),
        failed => failed,
    }
}

/// Returns the effects of a protocol problem. Before the sender is named it is a failure of the host; later
/// it concerns this mail only.
fn trouble(stage: Stage) -> Effects {
    match stage {
        Stage::Connect | Stage::Tls | Stage::Greeting => host(Penalty::Strike),
        Stage::Auth | Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Dot => Effects::default(),
    }
}

const HOUR: Penalty = Penalty::Pause(Duration::from_hours(1));
const DAY: Penalty = Penalty::Pause(Duration::from_hours(24));

fn sender(measure: Penalty) -> Effects {
    Effects { sender: Some(measure), ..Effects::default() }
}

fn host(measure: Penalty) -> Effects {
    Effects { host: Some(measure), ..Effects::default() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAGES: [Stage; 8] =
        [Stage::Connect, Stage::Tls, Stage::Greeting, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot];

    fn faults() -> Vec<DialogueEnd> {
        vec![
            DialogueEnd::Timeout,
            DialogueEnd::GreetingMissing,
            DialogueEnd::Lost("reset".into()),
            DialogueEnd::Garbled("hello".into()),
            DialogueEnd::CertificateBad("expired".into()),
            DialogueEnd::TlsFailed("alert".into()),
            DialogueEnd::StarttlsMissing,
            DialogueEnd::AuthMissing,
            DialogueEnd::PrivateHost("10.0.0.1".into()),
            DialogueEnd::PlaintextRefused,
            DialogueEnd::SealBroken,
            DialogueEnd::Unsendable("no address".into()),
            DialogueEnd::SenderAddress("no address".into()),
            DialogueEnd::PartnerAddress("no address".into()),
            DialogueEnd::Cancelled,
            DialogueEnd::LeaseLost,
        ]
    }

    #[test]
    fn before_the_dot_every_fault_is_definite_and_after_it_none_is() {
        for fault in faults() {
            for stage in &STAGES[1..7] {
                assert_eq!(classify_outcome(*stage, fault.clone()).fate, OutcomeKind::Refused, "{stage:?} {fault:?}");
            }
            let after = classify_outcome(Stage::Dot, fault.clone());
            assert_eq!((after.fate, after.reason), (OutcomeKind::Uncertain, "uncertain"), "{fault:?}");
            assert_eq!(after.effects, stalls::effects(Stage::Dot, &fault), "{fault:?}");
        }
    }

    #[test]
    fn a_mail_given_up_before_a_connection_was_opened_leaves_no_row() {
        for evidence in [DialogueEnd::Cancelled, DialogueEnd::LeaseLost, DialogueEnd::NotStarted] {
            assert_eq!(classify_outcome(Stage::Connect, evidence).fate, OutcomeKind::Unstarted);
        }
        let cancelled = classify_outcome(Stage::Data, DialogueEnd::Cancelled);
        assert_eq!((cancelled.fate, cancelled.reason), (OutcomeKind::Refused, "cancelled"));
        let lost = classify_outcome(Stage::Data, DialogueEnd::LeaseLost);
        assert_eq!((lost.fate, lost.reason), (OutcomeKind::Refused, "lease-lost"));
    }

    #[test]
    fn giving_up_and_trouble_on_the_way_disable_nobody() {
        for stage in STAGES {
            for fault in [DialogueEnd::Cancelled, DialogueEnd::LeaseLost, DialogueEnd::SealBroken] {
                assert_eq!(classify_outcome(stage, fault).effects, Effects::default());
            }
            for fault in
                [DialogueEnd::Timeout, DialogueEnd::Lost("reset".into()), DialogueEnd::TlsFailed("alert".into())]
            {
                let effects = classify_outcome(stage, fault).effects;
                assert_eq!((effects.sender, effects.partner, effects.domain), (None, None, None));
                assert_ne!(effects.host, Some(Penalty::Disable));
            }
        }
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let enhanced = proptest::option::of((0u16..12, prop_oneof![0u16..60, Just(139), Just(232), Just(750)]));
        let text = prop_oneof![
            Just("ok".to_owned()),
            Just("STOREDRV quota exceeded".to_owned()),
            Just("user unknown".to_owned()),
            Just("recipient thread limit exceeded".to_owned()),
        ];
        (200u16..600, enhanced, text).prop_map(|(code, enhanced, text)| Reply {
            code,
            enhanced: enhanced.map(|(subject, detail)| [code / 100, subject, detail]),
            text,
        })
    }

    fn any_stage() -> impl Strategy<Value = Stage> {
        (0usize..8).prop_map(|index| STAGES[index])
    }

    proptest! {
        #[test]
        fn only_a_2yz_to_the_dot_is_sent(stage in any_stage(), reply in any_reply()) {
            let sent = classify_outcome(stage, DialogueEnd::Reply(reply.clone())).fate == OutcomeKind::Sent;
            // A 221 answers the QUIT that may follow the final dot, so it says nothing about the mail.
            prop_assert_eq!(sent, stage == Stage::Dot && reply.code / 100 == 2 && reply.code != 221);
        }

        #[test]
        fn a_complete_refusal_is_definite_at_every_stage(stage in any_stage(), reply in any_reply()) {
            let outcome = classify_outcome(stage, DialogueEnd::Reply(reply.clone()));
            if reply.code >= 400 {
                prop_assert_eq!(outcome.fate, OutcomeKind::Refused);
            }
            if stage != Stage::Dot {
                prop_assert_eq!(outcome.fate, OutcomeKind::Refused);
            }
            prop_assert_eq!(outcome.reason.is_empty(), outcome.fate == OutcomeKind::Sent);
        }

        #[test]
        fn a_partner_is_touched_only_by_what_was_said_to_its_address(stage in any_stage(), reply in any_reply()) {
            let effects = classify_outcome(stage, DialogueEnd::Reply(reply.clone())).effects;
            let provider = reply.code == 432 && reply.enhanced == Some([4, 3, 2]);
            prop_assert!(effects.partner.is_none() || stage == Stage::Rcpt || provider);
        }

        #[test]
        fn one_reply_punishes_one_side(stage in any_stage(), reply in any_reply()) {
            let Effects { sender, partner, host, domain } = classify_outcome(stage, DialogueEnd::Reply(reply)).effects;
            let sides = [sender, partner, host, domain].into_iter().flatten().count();
            prop_assert!(sides <= 1);
        }

        #[test]
        fn a_535_disables_and_a_454_never_does(subject in 0u16..8, detail in 0u16..800) {
            let reply = |code: u16| Reply { code, enhanced: Some([code / 100, subject, detail]), text: String::new() };
            let refused = classify_outcome(Stage::Auth, DialogueEnd::Reply(reply(535)));
            prop_assert_eq!(refused.effects, sender(Penalty::Disable));
            for stage in STAGES {
                let temporary = classify_outcome(stage, DialogueEnd::Reply(reply(454)));
                prop_assert_ne!(temporary.effects.sender, Some(Penalty::Disable));
            }
        }
    }
}
