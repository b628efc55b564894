//! A `Dialogue` conducts the SMTP dialogue of one mail, reply by reply, so that the stage of every failure is known.
//!
//! lettre writes the commands; `transport.rs` reads the replies from the stream. Each step lets the dialogue continue
//! or ends it with a `DialogueEnd` for `classify_outcome`; `self.stage` is set by then. `dialogue/opening.rs` connects
//! and logs in, and `dialogue/envelope.rs` sends sender and recipient. This file holds the body, the final dot and
//! QUIT.

mod envelope;
mod opening;

use std::{fmt::Display, pin::pin, sync::Arc, time::Duration};

use lettre::{
    Address,
    transport::smtp::commands::{Data, Quit, Rset},
};
use rustls::ClientConfig;

use self::envelope::{Command, Envelope};
use super::{
    host_memory::{HostFact, HostMemory},
    message::EncodedMessage,
    resolver::Resolver,
    sasl::Login,
    session::SmtpSession,
    timeouts::Timeouts,
    transcript::Transcript,
};
use crate::{
    domain::{
        lease::MachineTime,
        mailbox::Endpoint,
        outcome::{CompletedStep, Outcome, Reply, Stage, classify::DialogueEnd},
    },
    ports::SendPermit,
};

/// The limit of the reply to the final dot, in steps: the server may be checking the mail. RFC 5321 section 4.5.3.2.6
/// grants this reply ten minutes, against two to five for other commands.
const FINAL_REPLY_STEPS: u32 = 2;

/// The time limit of the remaining replies and QUIT, after the outcome is known.
const QUIT_PATIENCE: Duration = Duration::from_secs(1);

/// A `DialogueContext` holds what all dialogues of a mailer share.
pub(super) struct DialogueContext {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) resolver: Resolver,
    pub(super) memory: HostMemory,
    pub(super) allow_private: bool,
    /// The name for EHLO; `None` if this machine has no fully qualified name.
    pub(super) hello: Option<String>,
}

/// A dialogue in progress.
pub(super) struct Dialogue<'a> {
    terms: &'a DialogueContext,
    endpoint: &'a Endpoint,
    pub(super) patience: Timeouts,
    pub(super) gate: &'a SendPermit,
    pub(super) stage: Stage,
    /// The transcript of a dialogue that a person reads.
    pub(super) trace: Option<Transcript>,
    /// The completed steps so far.
    pub(super) steps: Vec<CompletedStep>,
    started: MachineTime,
    line: Option<SmtpSession>,
    /// True if the host gets several commands in one packet.
    pipelines: bool,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(
        terms: &'a DialogueContext,
        endpoint: &'a Endpoint,
        patience: Timeouts,
        gate: &'a SendPermit,
    ) -> Dialogue<'a> {
        Dialogue {
            terms,
            endpoint,
            gate,
            stage: Stage::Connect,
            trace: None,
            steps: Vec::new(),
            started: patience.clock.machine(),
            patience,
            line: None,
            pipelines: false,
        }
    }

    /// Submits `letter` and returns the complete reply to its final dot.
    pub(super) async fn submit(
        &mut self,
        login: Option<&Login<'_>>,
        letter: &EncodedMessage,
    ) -> Result<Reply, DialogueEnd> {
        let envelope = Envelope { from: &letter.from, to: &letter.to, needs_utf8: letter.needs_utf8() };
        self.reach(login, &envelope, &Command::new(Stage::Data, "data", Data, is_354)).await?;
        let reply = self.body(&letter.bytes).await?;
        if is_2yz(reply.code) {
            self.passed("dot", Some(&reply), &reply.text);
        }
        Ok(reply)
    }

    /// Tests a login with a mail from `address` to itself, without sending one. RSET replaces DATA; every step before
    /// it is that of a mail.
    pub(super) async fn test_login(
        &mut self,
        login: Option<&Login<'_>>,
        address: &Address,
    ) -> Result<Reply, DialogueEnd> {
        let needs_utf8 = !AsRef::<str>::as_ref(address).is_ascii();
        let envelope = Envelope { from: address, to: address, needs_utf8 };
        self.reach(login, &envelope, &Command::new(Stage::Rcpt, "rset", Rset, is_2yz)).await
    }

    /// Sends QUIT if the host still takes commands. Changes nothing in the outcome.
    ///
    /// Before QUIT, the replies to the pipelined commands after a refused one are read. A host that now asks for a body
    /// gets neither the body nor a QUIT, which would be a line of the body.
    pub(super) async fn part(mut self, outcome: &Outcome) {
        let listens = outcome.reply.as_ref().is_some_and(|reply| reply.code != 421);
        if let Some(line) = self.line.as_mut().filter(|line| listens && line.wire.takes_commands()) {
            let goodbye = async {
                while line.wire.unanswered() > 0 {
                    line.wire.reply().await.ok().filter(|reply| !is_354(reply.code) && reply.code != 421)?;
                }
                line.wire.part().then_some(())?;
                line.ask(Some(Quit.to_string())).await.ok()
            };
            let goodbye = tokio::time::timeout(QUIT_PATIENCE.min(self.patience.step), goodbye);
            let _ = self.patience.cancel.run_until_cancelled(goodbye).await;
        }
    }

    /// Stores a deviation of the host from its announcement, and logs a new one once.
    fn learn(&self, fact: HostFact) {
        let (memory, now) = (&self.terms.memory, self.patience.clock.machine());
        if !memory.has(self.endpoint, fact, now) {
            tracing::info!(host = %self.endpoint, "the mail host {fact}: the worker remembers that for some hours");
        }
        memory.note(self.endpoint, fact, now);
    }

    fn passed(&mut self, step: &'static str, reply: Option<&Reply>, text: impl Display) {
        let after = self.patience.clock.machine().since(self.started);
        self.steps.push(CompletedStep { step, after, code: reply.map(|reply| reply.code) });
        if let Some(trace) = &mut self.trace {
            trace.passed(step, reply, text.to_string());
        }
    }

    /// Writes body and final dot and waits for the reply. Once the write of the dot begins, the stage is `Dot`.
    async fn body(&mut self, bytes: &[u8]) -> Result<Reply, DialogueEnd> {
        let SmtpSession { wire, connection, .. } = self.line.as_mut().ok_or_else(gone)?;
        wire.arm(self.gate.clone(), self.pipelines);
        let mut sending = pin!(async {
            let _ = connection.message(bytes).await;
            wire.reply().await
        });
        let writing = async {
            tokio::select! {
                biased;
                answer = &mut sending => Some(answer),
                () = wire.dot_begins() => None,
            }
        };
        let answer = match self.patience.step(writing).await {
            Ok(Some(answer)) => answer,
            Ok(None) => self.patience.wait(self.patience.step * FINAL_REPLY_STEPS, sending).await.and_then(|a| a),
            Err(ended) => Err(ended),
        };
        if wire.has_dot_begun() {
            self.stage = Stage::Dot;
        }
        answer
    }

    fn line(&self) -> Result<&SmtpSession, DialogueEnd> {
        self.line.as_ref().ok_or_else(gone)
    }
}

fn is_2yz(code: u16) -> bool {
    code / 100 == 2
}

fn is_354(code: u16) -> bool {
    code == 354
}

fn accept(reply: Reply, wanted: fn(u16) -> bool) -> Result<Reply, DialogueEnd> {
    if wanted(reply.code) { Ok(reply) } else { Err(DialogueEnd::Reply(reply)) }
}

fn gone() -> DialogueEnd {
    DialogueEnd::Lost("the connection was given up".into())
}
