//! `Transcript` records the completed steps of a dialogue for a person: each with its reply and its duration.

use std::{sync::Arc, time::Duration};

use crate::{
    domain::{lease::MachineTime, outcome::Reply},
    ports::Clock,
};

/// A `Step` is a completed step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name of the step: `connect`, `tls`, `greeting`, or a command's verb in lower case.
    pub step: String,
    pub code: Option<u16>,
    /// The address, the TLS version, or the server's text.
    pub text: String,
    pub took: Duration,
}

/// `Transcript` collects the completed steps so far.
pub(super) struct Transcript {
    clock: Arc<dyn Clock>,
    last: MachineTime,
    pub(super) steps: Vec<Step>,
}

impl Transcript {
    pub(super) fn from_now(clock: Arc<dyn Clock>) -> Transcript {
        Transcript { last: clock.machine(), clock, steps: Vec::new() }
    }

    pub(super) fn passed(&mut self, step: &str, reply: Option<&Reply>, text: String) {
        let took = self.lap();
        self.steps.push(Step { step: step.to_owned(), code: reply.map(|reply| reply.code), text, took });
    }

    /// Returns the time since the last step, and starts the next one.
    pub(super) fn lap(&mut self) -> Duration {
        let now = self.clock.machine();
        let took = now.since(self.last);
        self.last = now;
        took
    }
}
