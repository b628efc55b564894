//! What became of one mail, and what its answer says about whom.
//!
//! The types stand here; the table of replies is data in `outcome/table.rs`, read by `outcome/classify.rs`. What several
//! answers lead to that one alone does not stands in `outcome/escalation.rs`, and in `outcome/refusals.rs` for refusals in a row.

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

/// How far the dialogue had come when it ended.
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
    /// All stages, in order.
    pub const ALL: [Stage; 8] =
        [Stage::Connect, Stage::Tls, Stage::Greeting, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot];

    /// Its place in a dialogue, from 0: what the ledger stores of a stall.
    pub fn rank(self) -> i32 {
        self as i32
    }

    /// The stage before it; `None` before the first.
    pub fn previous(self) -> Option<Stage> {
        (self as usize).checked_sub(1).map(|place| Stage::ALL[place])
    }

    /// The word for it in `logs.notes`, metrics and spans.
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

/// A step of a dialogue that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedStep {
    /// `connect`, `tls`, `greeting`, or a command's verb in lower case; `dot` is the body with its dot, up to the reply.
    pub step: &'static str,
    /// When it was done, from the first packet on. It began with the end of the one before.
    pub after: Duration,
    /// What the server said to it, where it said something.
    pub code: Option<u16>,
}

/// A complete reply of a server (RFC 5321 section 4.2), with its enhanced code (RFC 3463) where it had one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Three digits: 200 to 599.
    pub code: u16,
    /// `class.subject.detail`, as `[5, 1, 1]`.
    pub enhanced: Option<[u16; 3]>,
    /// All lines joined by a space, without codes.
    pub text: String,
}

impl Reply {
    /// The enhanced code as it is written, `5.1.1`.
    pub fn enhanced_text(&self) -> Option<String> {
        self.enhanced.map(|[class, subject, detail]| format!("{class}.{subject}.{detail}"))
    }
}

/// What is certain about the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// A server answered 2yz to the final dot, completely: one SENT row, the place stays taken.
    Sent,
    /// It was definitely not accepted: one FAILED row, the place is given back.
    Refused,
    /// Nobody knows: one FAILED row with reason `uncertain`, the place stays taken, never sent again.
    Uncertain,
    /// No connection was opened: the reservation is released without a row.
    Unstarted,
}

impl OutcomeKind {
    /// The word for it in statements, metrics and spans.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeKind::Sent => "sent",
            OutcomeKind::Refused => "refused",
            OutcomeKind::Uncertain => "uncertain",
            OutcomeKind::Unstarted => "unstarted",
        }
    }
}

/// What follows for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Penalty {
    /// Left alone; ends by itself after this long on the day clock.
    Pause(Duration),
    /// Left alone; ends when the operator says so (`resume`).
    Disable,
    /// Counts against it, and nothing more: a sender's strike, a host's failure. `standing` says what how many lead to.
    Strike,
    /// The host gave no answer at a step of this mail, or says there that it is in trouble or does not want us. It counts
    /// once several of its mailboxes met that (`stalls`).
    Stall,
    /// A sender's pause, and from its end on half its plan, which then ramps up again.
    #[serde(rename = "Ease")]
    PauseAndHalve(Duration),
}

impl Penalty {
    /// How long it lasts, where it ends by itself.
    pub fn pause(self) -> Option<Duration> {
        match self {
            Penalty::Pause(time) | Penalty::PauseAndHalve(time) => Some(time),
            Penalty::Disable | Penalty::Strike | Penalty::Stall => None,
        }
    }
}

/// Whom a reply concerns, and what follows for each. Nobody else is touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// The mailbox that was sending stops sending, or has a strike against it.
    pub sender: Option<Penalty>,
    /// The mailbox that was written to stops receiving.
    pub partner: Option<Penalty>,
    /// All mailboxes that submit through this SMTP host stop sending, or it has failed once more.
    pub host: Option<Penalty>,
    /// All mailboxes of the sender's domain stop sending.
    pub domain: Option<Penalty>,
}

/// The judgement on one mail: what is certain, why, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub fate: OutcomeKind,
    pub stage: Stage,
    /// A short stable code for `logs.reason`, events and metrics, e.g. `auth-refused`; empty for `Sent` and
    /// `Unstarted`, `uncertain` for `Uncertain`.
    pub reason: &'static str,
    pub reply: Option<Reply>,
    pub effects: Effects,
    /// What a person should read beside the reason: the server's text or the fault, never a secret.
    pub note: String,
}
