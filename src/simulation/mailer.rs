//! `MemoryMailer` simulates mail hosts: they accept, refuse or lose mails at random, with delays, and record accepted
//! mails.

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

/// The frequencies of faults, in percent of all mails.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultRates {
    /// A refusal `451 4.0.0` at the final dot.
    pub refused: u64,
    /// A connection that breaks before the final dot.
    pub broken_before: u64,
    /// A connection that breaks after the final dot; the host accepted the mail.
    pub broken_after: u64,
    /// A connection that breaks after the final dot; the host lost the mail.
    pub vanished: u64,
}

/// A mailer with simulated mail hosts.
pub struct MemoryMailer {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    weather: FaultRates,
    accepted: Mutex<BTreeMap<String, u32>>,
}

/// The minimum and maximum duration in milliseconds of the steps up to the final dot, and again of the reply to it.
const SLOWNESS: (u64, u64) = (5, 400);

impl MemoryMailer {
    /// Creates hosts with the fault rates `weather`, and with a random stream of their own.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, weather: FaultRates) -> MemoryMailer {
        MemoryMailer { clock, entropy, weather, accepted: Mutex::default() }
    }

    /// Returns the accepted Message-IDs, each with the number of its acceptances.
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
