//! The mail hosts of a seeded simulation, and one worker's client to them: every step takes time, and at every step a
//! host in a bad mood does something else. What a host took completely, and to what it answered, it keeps in a journal of
//! its own, which the judge reads.

#[path = "post/claims.rs"]
mod claims;

use std::{
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use warmup::{
    domain::{
        id::UserId,
        outcome::{
            Reply, Stage,
            classify::{DialogueEnd, classify_outcome},
        },
    },
    ports::{Clock, Entropy, Mailer, SendPermit, SendReport, Submission, entropy::Purpose},
};

use self::claims::Claims;
pub use self::claims::{Cause, DAILY, HOURLY, SenderLimit};
use super::{judge::Checker, kinds::Fault};
use crate::link::WorkerLink;

/// The steps of a dialogue at which a host can fall silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Connect,
    Greeting,
    Ehlo,
    Auth,
    Mail,
    Rcpt,
    Data,
    AfterDot,
}

/// What a host does to some of its mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostBehavior {
    Unreachable,
    /// Its name takes seconds to resolve.
    Resolving,
    AuthRefused,
    SenderRefused,
    PartnerRefused,
    Storm,
    BrokenBeforeDot,
    BrokenTaken,
    BrokenGone,
    /// It takes seconds to answer the dot.
    Slow,
    /// It takes longer than the whole mail may.
    PastDeadline,
    /// It answers nothing more from a step on.
    Silent(Step),
}

impl HostBehavior {
    /// All moods in which a host answers.
    pub const ALL: [HostBehavior; 11] = [
        HostBehavior::Unreachable,
        HostBehavior::Resolving,
        HostBehavior::AuthRefused,
        HostBehavior::SenderRefused,
        HostBehavior::PartnerRefused,
        HostBehavior::Storm,
        HostBehavior::BrokenBeforeDot,
        HostBehavior::BrokenTaken,
        HostBehavior::BrokenGone,
        HostBehavior::Slow,
        HostBehavior::PastDeadline,
    ];

    /// The moods in which a host falls silent, one for each step.
    pub const SILENT: [HostBehavior; 8] = [
        HostBehavior::Silent(Step::Connect),
        HostBehavior::Silent(Step::Greeting),
        HostBehavior::Silent(Step::Ehlo),
        HostBehavior::Silent(Step::Auth),
        HostBehavior::Silent(Step::Mail),
        HostBehavior::Silent(Step::Rcpt),
        HostBehavior::Silent(Step::Data),
        HostBehavior::Silent(Step::AfterDot),
    ];

    fn fault(self) -> Fault {
        match self {
            HostBehavior::Unreachable => Fault::Unreachable,
            HostBehavior::Resolving => Fault::Resolving,
            HostBehavior::AuthRefused => Fault::AuthRefused,
            HostBehavior::SenderRefused => Fault::SenderRefused,
            HostBehavior::PartnerRefused => Fault::PartnerRefused,
            HostBehavior::Storm => Fault::Storm,
            HostBehavior::BrokenBeforeDot => Fault::BrokenBeforeDot,
            HostBehavior::BrokenTaken => Fault::BrokenTaken,
            HostBehavior::BrokenGone => Fault::BrokenGone,
            HostBehavior::Slow => Fault::SmtpSlow,
            HostBehavior::PastDeadline => Fault::SmtpPastDeadline,
            HostBehavior::Silent(Step::Connect) => Fault::SilentAtConnect,
            HostBehavior::Silent(Step::Greeting) => Fault::SilentAtGreeting,
            HostBehavior::Silent(Step::Ehlo) => Fault::SilentAtEhlo,
            HostBehavior::Silent(Step::Auth) => Fault::SilentAtAuth,
            HostBehavior::Silent(Step::Mail) => Fault::SilentAtMail,
            HostBehavior::Silent(Step::Rcpt) => Fault::SilentAtRcpt,
            HostBehavior::Silent(Step::Data) => Fault::SilentAtData,
            HostBehavior::Silent(Step::AfterDot) => Fault::SilentAfterDot,
        }
    }
}

/// All hosts, with the moods that each is in and how many of a hundred mails feel it, and with their claims.
#[derive(Debug, Default)]
pub struct Hosts {
    moods: Mutex<Vec<(String, HostBehavior, u64)>>,
    pub claims: Claims,
}

impl Hosts {
    pub fn enter(&self, host: &str, mood: HostBehavior, percent: u64) {
        self.moods.lock().unwrap().push((host.to_owned(), mood, percent));
    }

    pub fn leave(&self, host: &str, mood: HostBehavior) {
        self.moods.lock().unwrap().retain(|(of, in_it, _)| of != host || *in_it != mood);
    }

    /// Says whether a host is in any mood or makes claims that concern `user`, so that a mail to it may fail or take long.
    pub fn is_in_trouble(&self, host: &str, user: UserId) -> bool {
        self.moods.lock().unwrap().iter().any(|(of, ..)| of == host) || self.claims.concern(host, user)
    }

    fn percent(&self, host: &str, mood: HostBehavior) -> u64 {
        let moods = self.moods.lock().unwrap();
        moods.iter().filter(|(of, in_it, _)| of == host && *in_it == mood).map(|(.., percent)| *percent).sum()
    }
}

/// One worker's client.
pub struct MailHosts {
    pub clock: Arc<dyn Clock>,
    pub dice: Arc<dyn Entropy>,
    pub hosts: Arc<Hosts>,
    pub judge: Arc<Checker>,
    pub deadline: Duration,
    /// How long the client waits for the reply to one command.
    pub step_timeout: Duration,
    /// The worker's own link, which is frozen with it.
    pub link: OnceLock<Weak<WorkerLink>>,
}

/// How far a dialogue has come, also for whoever gives it up.
struct Reached(AtomicU8);

const STAGES: [Stage; 8] =
    [Stage::Connect, Stage::Tls, Stage::Greeting, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot];

impl Reached {
    fn get(&self) -> Stage {
        STAGES[usize::from(self.0.load(Ordering::Relaxed))]
    }

    fn set(&self, stage: Stage) {
        let place = STAGES.iter().position(|other| *other == stage).expect("all stages are listed");
        self.0.store(place as u8, Ordering::Relaxed);
    }
}

/// A connection that is open until this is dropped.
struct Open<'a>(&'a MailHosts, &'a Submission);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.judge.closes(self.1);
    }
}

impl MailHosts {
    async fn step(&self, low_ms: u64, high_ms: u64) {
        let millis = self.dice.between(Purpose::SimulatedFaults, 1, low_ms, high_ms);
        self.clock.sleep(Duration::from_millis(millis)).await;
        // Whoever is stopped in its tracks goes on with the next step when it wakes.
        let link = self.link.get().and_then(Weak::upgrade);
        if let Some(link) = link {
            link.alive().await;
        }
    }

    /// Waits as long as the client waits for one reply, where the host falls silent at `step`. Returns whether it does.
    async fn waits_in_vain(&self, mail: &Submission, step: Step) -> bool {
        let silent = self.feels(mail, HostBehavior::Silent(step));
        if silent {
            let millis = self.step_timeout.as_millis() as u64;
            self.step(millis, millis).await;
        }
        silent
    }

    /// Says whether this mail feels a mood of its host.
    fn feels(&self, mail: &Submission, mood: HostBehavior) -> bool {
        let percent = self.hosts.percent(&mail.flight.endpoint.host, mood);
        let felt = percent > 0 && self.dice.between(Purpose::SimulatedFaults, 2, 0, 99) < percent;
        if felt {
            self.judge.fault(mood.fault());
        }
        felt
    }

    /// Returns the reply of a host that the sender has reached its limit, if the host says so at `stage`.
    fn limited_at(&self, mail: &Submission, stage: Stage) -> Option<DialogueEnd> {
        let (fault, reply) = self.hosts.claims.limited_at(mail, stage, self.clock.now())?;
        self.claims(mail, Cause::Limit, fault);
        Some(DialogueEnd::Reply(reply))
    }

    /// Returns the reply of a host that lies about the partner, or about the sender's domain.
    fn lie_about(&self, mail: &Submission) -> Option<DialogueEnd> {
        let dice = |most| self.dice.between(Purpose::SimulatedFaults, 4, 0, most);
        let (fault, reply) = self.hosts.claims.lie_about(mail, dice)?;
        self.claims(mail, Cause::Lie, fault);
        Some(DialogueEnd::Reply(reply))
    }

    fn claims(&self, mail: &Submission, cause: Cause, fault: Fault) {
        self.judge.refuses(mail, cause);
        self.judge.fault(fault);
    }

    async fn dialogue(&self, mail: &Submission, gate: &SendPermit, reached: &Reached) -> DialogueEnd {
        self.step(0, 5).await;
        if self.feels(mail, HostBehavior::Resolving) {
            self.step(2_000, 20_000).await;
        }
        if !gate.is_open() {
            self.judge.gate_closed(mail, gate, Stage::Connect);
            return DialogueEnd::NotStarted;
        }
        let _open = self.judge.opens(mail).then(|| Open(self, mail));
        self.step(1, 20).await;
        if self.feels(mail, HostBehavior::Unreachable) {
            return DialogueEnd::Lost("connection refused".into());
        }
        if self.waits_in_vain(mail, Step::Connect).await {
            return DialogueEnd::Timeout;
        }
        reached.set(Stage::Greeting);
        if self.waits_in_vain(mail, Step::Greeting).await || self.waits_in_vain(mail, Step::Ehlo).await {
            return DialogueEnd::Timeout;
        }
        reached.set(Stage::Auth);
        self.step(1, 30).await;
        if self.hosts.claims.refuse_password_of(mail) {
            self.claims(mail, Cause::Password, Fault::WrongPassword);
            return reply(535, [5, 7, 8], "username and password not accepted");
        }
        if self.feels(mail, HostBehavior::AuthRefused) {
            return reply(535, [5, 7, 8], "authentication failed");
        }
        if self.waits_in_vain(mail, Step::Auth).await {
            return DialogueEnd::Timeout;
        }
        self.envelope(mail, gate, reached).await
    }

    async fn envelope(&self, mail: &Submission, gate: &SendPermit, reached: &Reached) -> DialogueEnd {
        reached.set(Stage::Mail);
        if self.waits_in_vain(mail, Step::Mail).await {
            return DialogueEnd::Timeout;
        }
        if self.feels(mail, HostBehavior::SenderRefused) {
            return match self.dice.between(Purpose::SimulatedFaults, 3, 0, 2) {
                0 => reply(550, [5, 4, 5], "daily sending quota exceeded"),
                1 => reply(550, [5, 7, 1], "policy"),
                _ => reply(550, [5, 1, 8], "sender blocked"),
            };
        }
        reached.set(Stage::Rcpt);
        if self.waits_in_vain(mail, Step::Rcpt).await {
            return DialogueEnd::Timeout;
        }
        if let Some(refusal) = self.limited_at(mail, Stage::Rcpt).or_else(|| self.lie_about(mail)) {
            return refusal;
        }
        if self.feels(mail, HostBehavior::PartnerRefused) {
            return match self.dice.between(Purpose::SimulatedFaults, 3, 0, 1) {
                0 => reply(550, [5, 1, 1], "no such user"),
                _ => reply(452, [4, 2, 2], "mailbox full"),
            };
        }
        reached.set(Stage::Data);
        self.step(5, 200).await;
        if self.waits_in_vain(mail, Step::Data).await {
            return DialogueEnd::Timeout;
        }
        if self.feels(mail, HostBehavior::BrokenBeforeDot) {
            return DialogueEnd::Lost("the connection broke before the dot".into());
        }
        if !gate.is_open() {
            self.judge.gate_closed(mail, gate, Stage::Data);
            return DialogueEnd::LeaseLost;
        }
        reached.set(Stage::Dot);
        self.judge.dot(mail);
        self.after_the_dot(mail).await
    }

    async fn after_the_dot(&self, mail: &Submission) -> DialogueEnd {
        if self.feels(mail, HostBehavior::PastDeadline) {
            self.step(1_000, 2 * self.deadline.as_millis() as u64).await;
        } else if self.feels(mail, HostBehavior::Slow) {
            self.step(1_000, 12_000).await;
        }
        self.step(1, 150).await;
        if self.feels(mail, HostBehavior::Storm) {
            return reply(451, [4, 0, 0], "not now");
        }
        if self.feels(mail, HostBehavior::BrokenGone) {
            return DialogueEnd::Lost("the connection broke after the dot, and the mail is gone".into());
        }
        if let Some(refusal) = self.limited_at(mail, Stage::Dot) {
            return refusal;
        }
        self.judge.takes(mail);
        if self.hosts.claims.accept(mail, self.clock.now()) {
            self.judge.fault(Fault::LimitedSenderAccepted);
        }
        if self.waits_in_vain(mail, Step::AfterDot).await {
            return DialogueEnd::Timeout;
        }
        if self.feels(mail, HostBehavior::BrokenTaken) {
            return DialogueEnd::Lost("the connection broke after the dot, and the mail was taken".into());
        }
        self.step(1, 50).await;
        self.judge.answers(mail);
        reply(250, [2, 0, 0], "accepted")
    }
}

fn reply(code: u16, enhanced: [u16; 3], text: &str) -> DialogueEnd {
    DialogueEnd::Reply(Reply { code, enhanced: Some(enhanced), text: text.to_owned() })
}

#[async_trait]
impl Mailer for MailHosts {
    async fn send(&self, mail: &Submission, gate: &SendPermit) -> SendReport {
        let (began, reached) = (self.clock.machine(), Reached(AtomicU8::new(0)));
        self.judge.begins(mail);
        let evidence = tokio::select! {
            biased;
            evidence = self.dialogue(mail, gate, &reached) => evidence,
            () = gate.cancel.cancelled() => {
                self.judge.cancelled(mail, reached.get());
                DialogueEnd::Cancelled
            }
            () = self.clock.sleep(self.deadline) => DialogueEnd::Timeout,
        };
        let latency = self.clock.machine().since(began);
        SendReport { outcome: classify_outcome(reached.get(), evidence), latency, steps: Vec::new() }
    }
}
