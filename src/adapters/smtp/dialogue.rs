//! One mail's dialogue, reply by reply, so that the stage of every fault is known.
//!
//! The library writes; what was answered is read off the wire (`wire.rs`). Each step either lets the dialogue go on
//! or ends it with the evidence that `judge` needs; the stage stands in `self.stage` by then.

use std::{fmt::Display, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        authentication::Credentials,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Quit, Rcpt, Rset, Starttls},
        extension::{ClientId, MailBodyParameter, MailParameter},
    },
};
use rustls::ClientConfig;
use tokio::net::TcpStream;

use super::{
    connect,
    line::Line,
    message::Letter,
    offers::{PIPELINING, SMTPUTF8, STARTTLS},
    patience::Patience,
    resolver::Resolver,
    tls,
    trace::Trace,
    wire::Wire,
};
use crate::{
    domain::{
        lease::MachineTime,
        mailbox::{Endpoint, Security},
        outcome::{Outcome, Passed, Reply, Stage, judge::Evidence},
    },
    ports::Gate,
};

/// What the server may take for its reply to the dot, in steps: it may be checking the mail (RFC 5321 section
/// 4.5.3.2.6 grants it ten minutes, against two to five for other commands).
const FINAL_REPLY_STEPS: u32 = 2;

/// What comes after the verdict, the replies that are left and QUIT, has a time of its own.
const QUIT_PATIENCE: Duration = Duration::from_secs(1);

/// What a dialogue needs to know of the world.
pub(super) struct Terms {
    pub(super) tls: Arc<ClientConfig>,
    pub(super) resolver: Resolver,
    pub(super) allow_private: bool,
    /// What we are called; nothing where that is no full name.
    pub(super) hello: Option<String>,
}

/// A dialogue in progress.
pub(super) struct Dialogue<'a> {
    pub(super) terms: &'a Terms,
    pub(super) patience: Patience,
    pub(super) gate: &'a Gate,
    pub(super) stage: Stage,
    /// For a dialogue that a person looks at.
    pub(super) trace: Option<Trace>,
    /// What went well so far.
    pub(super) steps: Vec<Passed>,
    started: MachineTime,
    line: Option<Line>,
}

/// A command and what it is good for.
struct Command {
    stage: Stage,
    verb: &'static str,
    text: String,
    wanted: fn(u16) -> bool,
}

impl Command {
    fn new(stage: Stage, verb: &'static str, command: impl Display, wanted: fn(u16) -> bool) -> Command {
        Command { stage, verb, text: command.to_string(), wanted }
    }
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(terms: &'a Terms, patience: Patience, gate: &'a Gate) -> Dialogue<'a> {
        let started = patience.clock.machine();
        Dialogue { terms, patience, gate, stage: Stage::Connect, trace: None, steps: Vec::new(), started, line: None }
    }

    /// Submits `letter` and returns the complete reply to its final dot.
    pub(super) async fn submit(
        &mut self,
        endpoint: &Endpoint,
        credentials: Option<Credentials>,
        letter: &Letter,
    ) -> Result<Reply, Evidence> {
        self.open(endpoint, credentials).await?;
        let parameters = self.mail_parameters(letter)?;
        let envelope = [
            Command::new(Stage::Mail, "mail", Mail::new(Some(letter.from.clone()), parameters), is_2yz),
            Command::new(Stage::Rcpt, "rcpt", Rcpt::new(letter.to.clone(), vec![]), is_2yz),
            Command::new(Stage::Data, "data", Data, is_354),
        ];
        let at_once = if self.line()?.offers.has(PIPELINING) { envelope.len() } else { 1 };
        for commands in envelope.chunks(at_once) {
            self.give(commands).await?;
        }
        let reply = self.body(&letter.bytes).await?;
        if is_2yz(reply.code) {
            self.passed("dot", Some(&reply), &reply.text);
        }
        Ok(reply)
    }

    /// Goes as far as a mail from `address` to itself can go without being one.
    pub(super) async fn rehearse(
        &mut self,
        endpoint: &Endpoint,
        credentials: Option<Credentials>,
        address: &Address,
    ) -> Result<Reply, Evidence> {
        self.open(endpoint, credentials).await?;
        let mail = Mail::new(Some(address.clone()), vec![]);
        self.give(&[Command::new(Stage::Mail, "mail", mail, is_2yz)]).await?;
        self.give(&[Command::new(Stage::Rcpt, "rcpt", Rcpt::new(address.clone(), vec![]), is_2yz)]).await?;
        self.give(&[Command::new(Stage::Rcpt, "rset", Rset, is_2yz)]).await
    }

    /// Brings the dialogue to where a mail can begin.
    async fn open(&mut self, endpoint: &Endpoint, credentials: Option<Credentials>) -> Result<(), Evidence> {
        let tcp = self.connect(endpoint).await?;
        self.secure(endpoint, tcp).await?;
        match credentials {
            Some(credentials) => self.authenticate(&credentials).await,
            None => Ok(()),
        }
    }

    /// Says goodbye where there is somebody to say it to. Changes nothing.
    ///
    /// What was given after a refused command is answered before that. A host that asks for a body now gets neither it nor
    /// a QUIT that would be a line of it.
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

    async fn connect(&mut self, endpoint: &Endpoint) -> Result<TcpStream, Evidence> {
        let (place, now) = ((endpoint.host.as_str(), endpoint.port), self.patience.clock.machine());
        let resolving = connect::resolve(&self.terms.resolver, place, self.terms.allow_private, now);
        let mut fault = Evidence::Timeout;
        for address in self.patience.step(resolving).await?? {
            match self.patience.step(connect::open(address)).await {
                Ok(Ok(stream)) => {
                    self.passed("connect", None, address);
                    return Ok(stream);
                }
                Ok(Err(lost)) => fault = lost,
                Err(Evidence::Cancelled) => return Err(Evidence::Cancelled),
                Err(late) => fault = late,
            }
        }
        // Nobody was there: it may have moved.
        self.terms.resolver.forget(&endpoint.host);
        Err(fault)
    }

    /// Brings the connection to where commands can be given: TLS as the mailbox asks for it, greeting, EHLO.
    async fn secure(&mut self, endpoint: &Endpoint, tcp: TcpStream) -> Result<(), Evidence> {
        match endpoint.security {
            Security::Tls => {
                let wire = self.handshake(endpoint, tcp).await?;
                self.greet(wire).await
            }
            Security::None => self.greet(Wire::plain(tcp)).await,
            Security::Starttls => {
                self.greet(Wire::plain(tcp)).await?;
                let tcp = self.starttls().await?;
                let wire = self.handshake(endpoint, tcp).await?;
                self.hello(wire).await
            }
        }
    }

    async fn handshake(&mut self, endpoint: &Endpoint, tcp: TcpStream) -> Result<Wire, Evidence> {
        self.stage = Stage::Tls;
        let handshake = tls::handshake(Arc::clone(&self.terms.tls), &endpoint.host, tcp);
        let stream = self.patience.step(handshake).await??;
        let version = stream.get_ref().1.protocol_version().map(|version| format!("{version:?}"));
        self.passed("tls", None, version.unwrap_or_default());
        Ok(Wire::tls(stream))
    }

    /// Asks for TLS and takes the stream back. The wire goes, and with it whatever was sent along in plain text: nothing
    /// said before TLS counts after it (RFC 3207 section 4.2).
    async fn starttls(&mut self) -> Result<TcpStream, Evidence> {
        self.stage = Stage::Tls;
        if !self.line()?.offers.has(STARTTLS) {
            return Err(Evidence::StarttlsMissing);
        }
        self.give(&[Command::new(Stage::Tls, "starttls", Starttls, |code| code == 220)]).await?;
        self.line.take().and_then(|line| line.wire.take_tcp()).ok_or_else(gone)
    }

    async fn greet(&mut self, wire: Wire) -> Result<(), Evidence> {
        self.stage = Stage::Greeting;
        let greeting = self.patience.step(wire.reply()).await??;
        if !is_2yz(greeting.code) {
            return Err(Evidence::Reply(greeting));
        }
        self.passed("greeting", Some(&greeting), &greeting.text);
        self.hello(wire).await
    }

    async fn hello(&mut self, wire: Wire) -> Result<(), Evidence> {
        self.stage = Stage::Greeting;
        let name = self.client_id(&wire)?;
        let answer = {
            // Large: not to be moved about.
            let opening = pin!(async {
                let opened = AsyncSmtpConnection::connect_with_transport(Box::new(wire.clone()), &name).await;
                (opened, wire.reply().await)
            });
            self.patience.step(opening).await?
        };
        match answer {
            (_, Err(fault)) => Err(fault),
            (_, Ok(reply)) if !is_2yz(reply.code) => Err(Evidence::Reply(reply)),
            (Err(error), Ok(_)) => Err(Evidence::Garbled(error.to_string())),
            (Ok(connection), Ok(reply)) => {
                self.passed("ehlo", Some(&reply), "");
                let offers = wire.offers();
                self.line = Some(Line { wire, connection, offers });
                Ok(())
            }
        }
    }

    /// The name to say: the one that is set, else the address (RFC 5321 section 4.1.4).
    fn client_id(&self, wire: &Wire) -> Result<ClientId, Evidence> {
        if let Some(name) = &self.terms.hello {
            return Ok(ClientId::Domain(name.clone()));
        }
        Ok(match wire.local_ip()? {
            IpAddr::V4(ip) => ClientId::Ipv4(ip),
            IpAddr::V6(ip) => ClientId::Ipv6(ip),
        })
    }

    async fn authenticate(&mut self, credentials: &Credentials) -> Result<(), Evidence> {
        self.stage = Stage::Auth;
        let line = self.line.as_mut().ok_or_else(gone)?;
        let reply = accept(self.patience.step(line.log_in(credentials)).await??, is_2yz)?;
        self.passed("auth", Some(&reply), &reply.text);
        Ok(())
    }

    fn mail_parameters(&mut self, letter: &Letter) -> Result<Vec<MailParameter>, Evidence> {
        self.stage = Stage::Mail;
        if !letter.needs_utf8() {
            return Ok(vec![]);
        }
        if !self.line()?.offers.has(SMTPUTF8) {
            return Err(Evidence::Unsendable("an address is not ASCII and the host does not offer SMTPUTF8".into()));
        }
        Ok(vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)])
    }

    /// Gives `commands` in one write, and returns the reply to the last, or the first refusal.
    async fn give(&mut self, commands: &[Command]) -> Result<Reply, Evidence> {
        self.line()?.wire.expect(commands.len());
        let mut text = Some(commands.iter().map(|command| command.text.as_str()).collect::<String>());
        let mut given = Err(gone());
        for Command { stage, verb, wanted, .. } in commands {
            self.stage = *stage;
            let line = self.line.as_mut().ok_or_else(gone)?;
            let reply = accept(self.patience.step(line.ask(text.take())).await??, *wanted)?;
            self.passed(verb, Some(&reply), &reply.text);
            given = Ok(reply);
        }
        given
    }

    fn passed(&mut self, step: &'static str, reply: Option<&Reply>, text: impl Display) {
        let after = self.patience.clock.machine().since(self.started);
        self.steps.push(Passed { step, after, code: reply.map(|reply| reply.code) });
        if let Some(trace) = &mut self.trace {
            trace.passed(step, reply, text.to_string());
        }
    }

    /// Writes body and dot and waits for the answer. From the moment the write of the dot begins the stage is `Dot`.
    async fn body(&mut self, bytes: &[u8]) -> Result<Reply, Evidence> {
        let Line { wire, connection, offers } = self.line.as_mut().ok_or_else(gone)?;
        wire.arm(self.gate.clone(), offers.has(PIPELINING));
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

    fn line(&self) -> Result<&Line, Evidence> {
        self.line.as_ref().ok_or_else(gone)
    }
}

fn is_2yz(code: u16) -> bool {
    code / 100 == 2
}

fn is_354(code: u16) -> bool {
    code == 354
}

fn accept(reply: Reply, wanted: fn(u16) -> bool) -> Result<Reply, Evidence> {
    if wanted(reply.code) { Ok(reply) } else { Err(Evidence::Reply(reply)) }
}

fn gone() -> Evidence {
    Evidence::Lost("the connection was given up".into())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{adapters::system::SystemClock, ports::Clock};

    #[tokio::test]
    async fn a_host_that_is_not_where_it_was_is_looked_for_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let clock = Arc::new(SystemClock::real());
        let resolver = Resolver::told("127.0.0.1", "127.0.0.9".parse().unwrap(), clock.machine());
        let terms = Terms { tls: tls::client_config(None).unwrap(), resolver, allow_private: true, hello: None };
        let patience = Patience {
            deadline: clock.machine().after(Duration::from_secs(60)),
            clock,
            step: Duration::from_secs(30),
            cancel: CancellationToken::new(),
        };
        let gate = Gate::always();
        let mut dialogue = Dialogue::new(&terms, patience, &gate);
        let endpoint = Endpoint { host: "127.0.0.1".into(), port, security: Security::None };
        assert!(matches!(dialogue.connect(&endpoint).await, Err(Evidence::Lost(_))));
        assert!(dialogue.connect(&endpoint).await.is_ok());
    }
}
