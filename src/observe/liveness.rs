//! `Liveness` answers the health probes: it records if this process is alive and ready.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::access::Access;
use crate::domain::lease::MachineTime;

/// The phase of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Running,
    Draining,
}

/// The state that the worker reports and the probes read.
#[derive(Debug, Default)]
pub struct Liveness {
    phase: AtomicU8,
    beat: Mutex<Option<MachineTime>>,
    benched: Mutex<Option<String>>,
    failure: Mutex<Option<String>>,
    kept_results: AtomicUsize,
    /// The servers that refuse the credentials.
    pub access: Access,
    set_back: Mutex<Option<String>>,
}

impl Liveness {
    /// Sets the phase.
    pub fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Records a heartbeat that Redis and Postgres both answered. The first one ends the starting phase.
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

    /// Records the reason of failing heartbeats, if it is known. The next successful heartbeat clears it.
    pub fn note_failure(&self, reason: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Returns the phase of the process.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Draining,
        }
    }

    /// Records that the worker schedules nothing, with the reason.
    pub fn bench(&self, reason: String) {
        *self.benched.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Records that scheduling continues.
    pub fn resume(&self) {
        *self.benched.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records the number of results that the database accepts in no form. They wait in memory.
    pub fn keep_results(&self, results: usize) {
        self.kept_results.store(results, Ordering::Relaxed);
    }

    /// Returns the number of waiting results that the database accepts in no form.
    pub fn kept_results(&self) -> usize {
        self.kept_results.load(Ordering::Relaxed)
    }

    /// Records the evidence of a set-back database, or `None` without a set-back.
    pub fn set_back(&self, sentence: Option<String>) {
        *self.set_back.lock().unwrap_or_else(PoisonError::into_inner) = sentence;
    }

    /// Returns true if the worker runs and schedules, and its last successful heartbeat is not older than
    /// `fresh`.
    pub fn ready(&self, now: MachineTime, fresh: Duration) -> bool {
        self.unready(now, fresh).is_none()
    }

    /// Returns the reason why the worker is not ready, or `None` if it is ready.
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
