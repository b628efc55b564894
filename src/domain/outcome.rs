//! An `Outcome` states the classified result of one mail and the penalties that follow from it.
//!
//! This file holds the types. `outcome/classify.rs` reads the table of replies, which is data in
//! `outcome/table.rs`. `outcome/escalation.rs` holds the effects that need several answers, and
//! `outcome/refusals.rs` those of refusals in a row.

pub mod advice;
pub mod blame;
pub mod breaker;
pub mod classify;
pub mod escalation;
pub mod named_wait;
pub mod refusals;
pub mod stalls;
pub mod table;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The step at which the dialogue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Name resolution and TCP.
    Connect,
    /// TLS handshake, implicit or after STARTTLS.
    Tls,
    /// Greeting and EHLO.
    Greeting,
    Auth,
    Mail,
    Rcpt,
    /// DATA was sent, 354 not yet read; or the body was being written. The final dot has not begun.
    Data,
    /// The write of the final dot has begun: from here only a complete reply is definite (RFC 5321 section 4.5.3.2.6).
    Dot,
}

impl Stage {
    /// All stages, in the order of a dialogue.
    pub const ALL: [Stage; 8] =
        [Stage::Connect, Stage::Tls, Stage::Greeting, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot];

    /// Returns the position in a dialogue, from 0; the ledger stores this number for a stall.
    pub fn rank(self) -> i32 {
        self as i32
    }

    /// Returns the previous stage, or `None` for the first.
    pub fn previous(self) -> Option<Stage> {
        (self as usize).checked_sub(1).map(|place| Stage::ALL[place])
    }

    /// Returns the name of the stage in `logs.notes`, metrics and spans.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Connect => "connect",
            Stage::Tls => "tls",
            Stage::Greeting => "greeting",
            Stage::Auth => "auth",
            Stage::Mail => "mail",
            Stage::Rcpt => "rcpt",
            Stage::Data => "data",
            Stage::Dot => "dot",
        }
    }
}

/// A completed step of a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedStep {
    /// The name of the step: `connect`, `tls`, `greeting`, or a command's verb in lower case. `dot` is the
    /// body with its final dot, up to the reply.
    pub step: &'static str,
    /// The end of the step, counted from the first packet. The step began at the end of the previous step.
    pub after: Duration,
    /// The reply code of the server, if the step has a reply.
    pub code: Option<u16>,
}

/// A complete reply of a server (RFC 5321 section 4.2), with its enhanced code (RFC 3463) if it has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The basic code of three digits: 200 to 599.
    pub code: u16,
    /// The enhanced code `class.subject.detail`, as `[5, 1, 1]`.
    pub enhanced: Option<[u16; 3]>,
    /// All lines of the text joined by a space, without codes.
    pub text: String,
}

impl Reply {
    /// Returns the enhanced code as text, such as `5.1.1`.
    pub fn enhanced_text(&self) -> Option<String> {
        self.enhanced.map(|[class, subject, detail]| format!("{class}.{subject}.{detail}"))
    }
}

/// The certain part of a mail's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// A server answered 2yz to the final dot, completely: one SENT row, the quota slot stays taken.
    Sent,
    /// The mail was definitely not accepted: one FAILED row, the quota slot is returned.
    Refused,
    /// The server may have accepted the mail: one FAILED row with reason `uncertain`. The quota slot stays
    /// taken and the mail is never sent again.
    Uncertain,
    /// No connection was opened: the reservation is released without a row.
    Unstarted,
}

impl OutcomeKind {
    /// Returns the name of the outcome in statements, metrics and spans.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeKind::Sent => "sent",
            OutcomeKind::Refused => "refused",
            OutcomeKind::Uncertain => "uncertain",
            OutcomeKind::Unstarted => "unstarted",
        }
    }
}

/// A penalty for one side of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Penalty {
    /// A pause that ends by itself after this time on the day clock.
    Pause(Duration),
    /// A pause that ends when the operator resumes the mailbox.
    Disable,
    /// A counted refusal: a sender's strike or a host's failure. `escalation.rs` states the effect of each
    /// count.
    Strike,
    /// A step of this mail without an answer, or an answer that the host is in trouble or refuses our
    /// address. It counts once several mailboxes of the host met it (`stalls.rs`).
    Stall,
    /// A sender's pause, after which its plan is halved and ramps up again.
    #[serde(rename = "Ease")]
    PauseAndHalve(Duration),
}

impl Penalty {
    /// Returns the duration of the penalty if it ends by itself.
    pub fn pause(self) -> Option<Duration> {
        match self {
            Penalty::Pause(time) | Penalty::PauseAndHalve(time) => Some(time),
            Penalty::Disable | Penalty::Strike | Penalty::Stall => None,
        }
    }
}

/// The penalties of a reply for each side that it concerns. No other side is affected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// The penalty of the sending mailbox: it stops sending, or gets a strike.
    pub sender: Option<Penalty>,
    /// The penalty of the receiving mailbox: it stops receiving.
    pub partner: Option<Penalty>,
    /// The penalty of the SMTP host: all its mailboxes stop sending, or the host gets one more failure.
    pub host: Option<Penalty>,
    /// The penalty of the sender's domain: all its mailboxes stop sending.
    pub domain: Option<Penalty>,
}

/// The classified result of one mail: the outcome, its reason and its effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub fate: OutcomeKind,
    pub stage: Stage,
    /// The stable reason code for `logs.reason`, events and metrics, such as `auth-refused`. It is empty for
    /// `Sent` and `Unstarted`, and `uncertain` for `Uncertain`.
    pub reason: &'static str,
    pub reply: Option<Reply>,
    pub effects: Effects,
    /// The text for an operator beside the reason: the server's text or the error, never a secret.
    pub note: String,
}
