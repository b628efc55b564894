//! `ImaginedHosts` are mail hosts that accept every mail, each after a random time.
//!
//! Server latencies are skewed: most answers come soon, a few late. A log-normal distribution has that shape.
//! Two numbers describe it: the median, which is an input, and the standard deviation of its logarithm.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, LogNormal};

use crate::{
    domain::outcome::{
        Outcome, Reply, Stage,
        classify::{DialogueEnd, classify_outcome},
    },
    ports::{Clock, Mailer, SendPermit, SendReport, Submission},
};

/// The standard deviation of the logarithm. With a median of 500 ms, a tenth of the mails takes over 950 ms and
/// a hundredth over 1.6 s.
pub(super) const SPREAD: f64 = 0.5;

pub(super) struct ImaginedHosts {
    clock: Arc<dyn Clock>,
    latency: LogNormal<f64>,
    deadline: Duration,
    /// The outcome of nearly all mails, which is classified once.
    accepted: Outcome,
    drawn: Mutex<Drawn>,
}

struct Drawn {
    dice: ChaCha8Rng,
    spent: Duration,
}

impl ImaginedHosts {
    /// Returns hosts that take at most `median` for half of the mails. A mail that takes longer than `deadline`
    /// ends before its final dot.
    pub(super) fn new(clock: Arc<dyn Clock>, median: Duration, deadline: Duration, seed: u64) -> ImaginedHosts {
        // The logarithm needs a positive median; 1 ns replaces zero.
        let latency = LogNormal::new(median.as_secs_f64().max(1e-9).ln(), SPREAD).expect("the spread is a number");
        let drawn = Drawn { dice: ChaCha8Rng::seed_from_u64(seed), spent: Duration::ZERO };
        let reply = Reply { code: 250, enhanced: Some([2, 0, 0]), text: String::new() };
        let accepted = classify_outcome(Stage::Dot, DialogueEnd::Reply(reply));
        ImaginedHosts { clock, latency, deadline, accepted, drawn: Mutex::new(drawn) }
    }

    /// Returns the total time of all mails so far.
    pub(super) fn spent(&self) -> Duration {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).spent
    }

    fn draw(&self) -> Duration {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let latency = Duration::from_secs_f64(self.latency.sample(&mut drawn.dice)).min(self.deadline);
        drawn.spent += latency;
        latency
    }
}

/// Returns the mean of the latency for a median. The mean of a log-normal distribution lies above its median.
pub(super) fn mean(median: Duration) -> Duration {
    median.mul_f64((SPREAD * SPREAD / 2.0).exp())
}

#[async_trait]
impl Mailer for ImaginedHosts {
    async fn send(&self, _mail: &Submission, gate: &SendPermit) -> SendReport {
        if !gate.is_open() {
            return SendReport {
                outcome: classify_outcome(Stage::Connect, DialogueEnd::LeaseLost),
                latency: Duration::ZERO,
                steps: Vec::new(),
            };
        }
        let latency = self.draw();
        self.clock.sleep(latency).await;
        let outcome = match (gate.is_open(), latency < self.deadline) {
            (false, _) => classify_outcome(Stage::Data, DialogueEnd::LeaseLost),
            (true, false) => classify_outcome(Stage::Data, DialogueEnd::Timeout),
            (true, true) => self.accepted.clone(),
        };
        SendReport { outcome, latency, steps: Vec::new() }
    }
}
