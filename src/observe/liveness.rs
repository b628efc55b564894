//! Whether this process is alive and ready, for probes.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::access::Access;
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
    benched: Mutex<Option<String>>,
    failure: Mutex<Option<String>>,
    kept_results: AtomicUsize,
    /// Which servers refuse the credentials.
    pub access: Access,
    set_back: Mutex<Option<String>>,
}

impl Liveness {
    /// Enters a phase.
    pub fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Notes a heartbeat that Redis and Postgres both answered. The first one ends the start.
    pub fn beat(&self, at: MachineTime) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
        self.note_failure(None);
        let _ = self.phase.compare_exchange(
            Phase::Starting as u8,
            Phase::Running as u8,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Notes why heartbeats fail, where the reason is known. The next good heartbeat clears it.
    pub fn note_failure(&self, reason: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Where in its life the process is.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Draining,
        }
    }

    /// Notes that nothing is scheduled, and why.
    pub fn bench(&self, reason: String) {
        *self.benched.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Notes that scheduling goes on.
    pub fn resume(&self) {
        *self.benched.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Notes how many results the database takes in no form. They wait in memory.
    pub fn keep_results(&self, results: usize) {
        self.kept_results.store(results, Ordering::Relaxed);
    }

    /// Returns how many results wait that the database takes in no form.
    pub fn kept_results(&self) -> usize {
        self.kept_results.load(Ordering::Relaxed)
    }

    /// Notes how a set-back of the database showed, or that there is none.
    pub fn set_back(&self, sentence: Option<String>) {
        *self.set_back.lock().unwrap_or_else(PoisonError::into_inner) = sentence;
    }

    /// Says whether the worker is running, schedules, and its last good heartbeat is not older than `fresh`.
    pub fn ready(&self, now: MachineTime, fresh: Duration) -> bool {
        self.unready(now, fresh).is_none()
    }

    /// Returns why the worker is not ready, or `None` when it is.
    pub fn unready(&self, now: MachineTime, fresh: Duration) -> Option<String> {
        let phase = self.phase();
        if let (Phase::Running, Some(reason)) = (phase, &*self.benched.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Some(reason.clone());
        }
        if let (Phase::Running, Some(sentence)) =
            (phase, &*self.set_back.lock().unwrap_or_else(PoisonError::into_inner))
        {
            return Some(sentence.clone());
        }
        let beat = *self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = phase == Phase::Running && beat.is_some_and(|beat| now.since(beat) <= fresh);
        (!ready).then(|| {
            if let Some(server) = self.access.refusing_server() {
                return format!("{server} refuses the user or the password in {}", server.setting());
            }
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            failure.unwrap_or_else(|| format!("{phase:?}, last good heartbeat too long ago or none"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::access::Server;

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

    #[test]
    fn a_worker_whose_heartbeats_fail_says_why_once_it_is_not_ready() {
        let at = |second| MachineTime(Duration::from_secs(second));
        let (liveness, fresh) = (Liveness::default(), Duration::from_secs(15));
        liveness.beat(at(1));
        liveness.note_failure(Some("Postgres refuses writes".into()));
        assert!(liveness.ready(at(16), fresh));
        assert_eq!(liveness.unready(at(17), fresh).as_deref(), Some("Postgres refuses writes"));
        liveness.beat(at(17));
        assert!(liveness.ready(at(17), fresh));
    }

    #[test]
    fn refused_credentials_are_the_reason_once_no_heartbeat_is_good() {
        let at = |second| MachineTime(Duration::from_secs(second));
        let (liveness, fresh) = (Liveness::default(), Duration::from_secs(15));
        liveness.beat(at(1));
        liveness.access.record_refusal(Server::Redis, at(2));
        assert!(liveness.ready(at(16), fresh), "what is open still works");
        let reason = liveness.unready(at(17), fresh).unwrap();
        assert!(reason.contains("Redis refuses") && reason.contains("REDIS_URL"), "{reason}");
    }

    #[test]
    fn a_worker_that_schedules_nothing_is_not_ready_and_says_why() {
        let (now, fresh) = (MachineTime(Duration::from_secs(1)), Duration::from_secs(15));
        let liveness = Liveness::default();
        liveness.beat(now);
        liveness.bench("five ticks failed".into());
        assert_eq!(liveness.unready(now, fresh).as_deref(), Some("five ticks failed"));
        liveness.resume();
        assert!(liveness.ready(now, fresh));
    }
}
