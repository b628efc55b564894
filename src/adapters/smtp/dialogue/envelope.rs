//! `reach` and `give` send the envelope of a mail: MAIL and RCPT, then DATA or RSET. A host that supports pipelining
//! gets them in one packet.

use std::fmt::Display;

use lettre::{
    Address,
    transport::smtp::{
        commands::{Mail, Rcpt},
        extension::{MailBodyParameter, MailParameter},
    },
};

use super::{Dialogue, accept, gone, is_2yz};
use crate::{
    adapters::smtp::{
        capabilities::{PIPELINING, SMTPUTF8},
        host_memory::HostFact,
        sasl::Login,
    },
    domain::outcome::{Reply, Stage, classify::DialogueEnd},
};

/// An `Envelope` holds the addresses of a mail.
pub(super) struct Envelope<'a> {
    pub(super) from: &'a Address,
    pub(super) to: &'a Address,
    /// True if the host must support SMTPUTF8.
    pub(super) needs_utf8: bool,
}

/// A `Command` is a command with its stage and the reply codes that it accepts.
pub(super) struct Command {
    stage: Stage,
    verb: &'static str,
    text: String,
    wanted: fn(u16) -> bool,
}

impl Command {
    pub(super) fn new(stage: Stage, verb: &'static str, command: impl Display, wanted: fn(u16) -> bool) -> Command {
        Command { stage, verb, text: command.to_string(), wanted }
    }
}

impl Dialogue<'_> {
    /// Opens a connection, sends the envelope and `last`, and returns the reply to `last`.
    ///
    /// A host that offers PIPELINING and does not answer all commands of the packet gets a second connection and one
    /// command at a time. No dot was written by then, so the host has discarded the first attempt (RFC 5321 section
    /// 4.1.1.4).
    pub(super) async fn reach(
        &mut self,
        login: Option<&Login<'_>>,
        envelope: &Envelope<'_>,
        last: &Command,
    ) -> Result<Reply, DialogueEnd> {
        let now = self.patience.clock.machine();
        let mut takes_one = self.terms.memory.has(self.endpoint, HostFact::TakesOneCommand, now);
        loop {
            self.open(login).await?;
            self.pipelines = !takes_one && self.line()?.offers.has(PIPELINING);
            match self.give_envelope(envelope, last).await {
                Err(evidence) if self.pipelines && is_pipelining_broken(self.stage, &evidence) => {
                    self.learn(HostFact::TakesOneCommand);
                    (takes_one, self.line) = (true, None);
                    if !self.gate.is_open() {
                        return Err(evidence);
                    }
                }
                given => return given,
            }
        }
    }

    async fn give_envelope(&mut self, envelope: &Envelope<'_>, last: &Command) -> Result<Reply, DialogueEnd> {
        let parameters = self.mail_parameters(envelope)?;
        let mail = Command::new(Stage::Mail, "mail", Mail::new(Some(envelope.from.clone()), parameters), is_2yz);
        let rcpt = Command::new(Stage::Rcpt, "rcpt", Rcpt::new(envelope.to.clone(), vec![]), is_2yz);
        let commands = [&mail, &rcpt, last];
        let at_once = if self.pipelines { commands.len() } else { 1 };
        let mut given = Err(gone());
        for commands in commands.chunks(at_once) {
            given = Ok(self.give(commands).await?);
        }
        given
    }

    fn mail_parameters(&mut self, envelope: &Envelope<'_>) -> Result<Vec<MailParameter>, DialogueEnd> {
        self.stage = Stage::Mail;
        if !envelope.needs_utf8 {
            return Ok(vec![]);
        }
        if !self.line()?.offers.has(SMTPUTF8) {
            return Err(DialogueEnd::Unsendable("an address is not ASCII and the host does not offer SMTPUTF8".into()));
        }
        Ok(vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)])
    }

    /// Sends `commands` in one write, and returns the reply to the last one, or the first refusal.
    pub(super) async fn give(&mut self, commands: &[&Command]) -> Result<Reply, DialogueEnd> {
        self.line()?.wire.expect(commands.len());
        let mut text = Some(commands.iter().map(|command| command.text.as_str()).collect::<String>());
        let mut given = Err(gone());
        for Command { stage, verb, wanted, .. } in commands {
            self.stage = *stage;
            let is_first = text.is_some();
            let line = self.line.as_mut().ok_or_else(gone)?;
            let asking = line.ask(text.take());
            let waited =
                if is_first { self.patience.step(asking).await } else { self.patience.pipelined(asking).await };
            let reply = accept(waited??, *wanted)?;
            self.passed(verb, Some(&reply), &reply.text);
            given = Ok(reply);
        }
        given
    }
}

/// Returns whether pipelining itself may have ended a pipelined envelope: a command was not answered, or the host
/// refused the order of the commands. A lost connection does not count: it has its own meaning.
fn is_pipelining_broken(stage: Stage, evidence: &DialogueEnd) -> bool {
    match evidence {
        DialogueEnd::Timeout => matches!(stage, Stage::Rcpt | Stage::Data),
        DialogueEnd::Reply(reply) => {
            let text = reply.text.to_ascii_lowercase();
            let names_it = text.contains("pipelin") || text.contains("synchroni");
            reply.code == 503 || reply.code / 100 == 5 && names_it
        }
        _ => false,
    }
}
