//! Mail hosts of a simulation: they take their time, accept, refuse and vanish by the dice, and keep a journal.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    domain::outcome::{
        Reply, Stage,
        classify::{DialogueEnd, classify_outcome},
    },
    ports::{Clock, Entropy, Mailer, SendPermit, SendReport, Submission, entropy::Purpose},
};

/// How mail hosts behave, in parts of a hundred of all mails.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultRates {
    /// `451 4.0.0` to the dot.
    pub refused: u64,
    /// The connection breaks before the dot.
    pub broken_before: u64,
    /// It breaks after the dot, and the mail was accepted.
    pub broken_after: u64,
    /// It breaks after the dot, and the mail is gone.
    pub vanished: u64,
}

/// A mailer whose hosts are in memory.
pub struct MemoryMailer {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    weather: FaultRates,
    accepted: Mutex<BTreeMap<String, u32>>,
}

/// The steps up to the dot take this long, and so does the reply to it, at least and at most, in milliseconds.
const SLOWNESS: (u64, u64) = (5, 400);

impl MemoryMailer {
    /// Hosts in `weather`, with dice of their own stream.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, weather: FaultRates) -> MemoryMailer {
        MemoryMailer { clock, entropy, weather, accepted: Mutex::default() }
    }

    /// The Message-IDs that were accepted, and how often each was.
    pub fn accepted(&self) -> BTreeMap<String, u32> {
        self.journal().clone()
    }

    fn journal(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, mail: &Submission) {
        *self.journal().entry(mail.flight.message_id.clone()).or_default() += 1;
    }

    async fn take_time(&self, key: u64) {
        let millis = self.entropy.between(Purpose::SimulatedFaults, key, SLOWNESS.0, SLOWNESS.1);
        self.clock.sleep(Duration::from_millis(millis)).await;
    }

    async fn dialogue(&self, mail: &Submission, gate: &SendPermit) -> (Stage, DialogueEnd) {
        let key = mail.flight.id.0.unsigned_abs();
        if !gate.is_open() {
            return (Stage::Connect, DialogueEnd::LeaseLost);
        }
        self.take_time(key).await;
        let fate = self.entropy.between(Purpose::SimulatedFaults, key, 0, 99);
        if fate < self.weather.broken_before {
            return (Stage::Data, DialogueEnd::Lost("the connection broke before the dot".into()));
        }
        if !gate.is_open() {
            return (Stage::Data, DialogueEnd::LeaseLost);
        }
        self.take_time(key).await;
        (Stage::Dot, self.after_the_dot(mail, fate - self.weather.broken_before))
    }

    fn after_the_dot(&self, mail: &Submission, fate: u64) -> DialogueEnd {
        let FaultRates { refused, broken_after, vanished, .. } = self.weather;
        let reply = |code, enhanced, text: &str| DialogueEnd::Reply(Reply { code, enhanced, text: text.into() });
        if fate < refused {
            return reply(451, Some([4, 0, 0]), "not now");
        }
        if fate < refused + vanished {
            return DialogueEnd::Lost("the connection broke after the dot, and the mail is gone".into());
        }
        self.accept(mail);
        if fate < refused + vanished + broken_after {
            return DialogueEnd::Lost("the connection broke after the dot, and the mail was accepted".into());
        }
        reply(250, Some([2, 0, 0]), "accepted")
    }
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, mail: &Submission, gate: &SendPermit) -> SendReport {
        let began = self.clock.machine();
        let (stage, evidence) = self.dialogue(mail, gate).await;
        let latency = self.clock.machine().since(began);
        SendReport { outcome: classify_outcome(stage, evidence), latency, steps: Vec::new() }
    }
}
