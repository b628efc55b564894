//! Whether this process is alive and ready, for probes.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use crate::domain::lease::MachineTime;

/// Where in its life the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Running,
    Draining,
}

/// Shared by the worker, which reports, and the probes, which ask.
#[derive(Debug, Default)]
pub struct Liveness {
    phase: AtomicU8,
    beat: Mutex<Option<MachineTime>>,
}

impl Liveness {
    /// Enters a phase.
    pub fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Notes a heartbeat that Redis and Postgres both answered. The first one ends the start.
    pub fn beat(&self, at: MachineTime) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
        let _ = self.phase.compare_exchange(
            Phase::Starting as u8,
            Phase::Running as u8,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Where in its life the process is.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Draining,
        }
    }

    /// Says whether the worker is running and its last good heartbeat is not older than `fresh`.
    pub fn ready(&self, now: MachineTime, fresh: Duration) -> bool {
        let beat = *self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        self.phase() == Phase::Running && beat.is_some_and(|beat| now.since(beat) <= fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_ready_between_its_first_heartbeat_and_its_stop() {
        let at = |second| MachineTime(Duration::from_secs(second));
        let (liveness, fresh) = (Liveness::default(), Duration::from_secs(15));
        assert!(!liveness.ready(at(1), fresh));
        liveness.beat(at(1));
        assert!(liveness.ready(at(16), fresh) && !liveness.ready(at(17), fresh));
        liveness.set(Phase::Draining);
        liveness.beat(at(17));
        assert!(!liveness.ready(at(17), fresh));
    }
}
