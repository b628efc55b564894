//! `ServerClock` predicts the time of a Redis server, so that the caps script detects a change of the server's clock.
//!
//! A clock that was set ahead fills every bucket although no time passed. The script can't detect that, because every
//! clock on its server can be set. So a caller stores the time of the last answer, adds the time that its own machine
//! clock has counted since, and sends the sum. If the server's time differs, the script begins a new *generation*:
//! every bucket of an older one is cold.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{domain::lease::MachineTime, ports::Clock};

/// The longest round trip whose answer is recorded. After a longer one the instant of the server's reading is too
/// uncertain, and the next expectation would be wrong by as much.
const LONGEST_ROUND_TRIP: Duration = Duration::from_millis(500);

/// A `ServerReading` is the time and the generation of the last answer.
#[derive(Clone, Copy, Debug)]
struct ServerReading {
    micros: i64,
    generation: u64,
    asked_at: MachineTime,
}

/// An `Expectation` is the time that the script compares with its server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expectation {
    pub(super) micros: i64,
    /// The generation that this caller knows. If the server has a later one, the change of its clock is handled
    /// already.
    pub(super) generation: u64,
}

/// A `ServerClock` keeps the last reading and derives expectations from it.
pub(super) struct ServerClock {
    machine: Arc<dyn Clock>,
    last_reading: Mutex<Option<ServerReading>>,
}

impl ServerClock {
    pub(super) fn new(machine: Arc<dyn Clock>) -> ServerClock {
        ServerClock { machine, last_reading: Mutex::default() }
    }

    /// Returns the machine time; the caller reads it before it calls the server.
    pub(super) fn machine_time(&self) -> MachineTime {
        self.machine.machine()
    }

    /// Returns the expectation of a call that begins at `now`; `None` before the first answer.
    pub(super) fn expectation(&self, now: MachineTime) -> Option<Expectation> {
        let last = (*self.last_reading.lock().unwrap_or_else(PoisonError::into_inner))?;
        let passed = i64::try_from(now.since(last.asked_at).as_micros()).unwrap_or(i64::MAX);
        Some(Expectation { micros: last.micros.saturating_add(passed), generation: last.generation })
    }

    /// Records the answer to a call of `asked_at`, unless the round trip took too long.
    pub(super) fn record(&self, micros: i64, generation: u64, asked_at: MachineTime) {
        if self.machine_time().since(asked_at) > LONGEST_ROUND_TRIP {
            return;
        }
        *self.last_reading.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(ServerReading { micros, generation, asked_at });
    }

    /// Returns the length of `time`, given by the machine clock, on the clock of the caps.
    pub(super) fn span(&self, time: Duration) -> Duration {
        self.machine.caps_span(time)
    }
}
