//! `Membership` gives up its shards while Postgres refuses writes, and reports it.
//!
//! The heartbeat writes a row before it renews the membership. While Postgres is read-only (a standby, a changed
//! default, a full disk), no heartbeat reaches Redis. The membership then ends within the lease TTL, and a worker that
//! can write takes the shards. `/readyz`, the metric `warmup_database_read_only` and one WARN report it meanwhile. The
//! first heartbeat that Postgres stores also stores an event.

use super::{Membership, PortError};
use crate::{
    domain::id::ShardId,
    observe::liveness::Liveness,
    ports::{Heartbeat, StateChange},
};

/// The advice in the log and in `/readyz`.
const ADVICE: &str = "check that DATABASE_URL leads to the primary, not to a standby, that default_transaction_read_only \
                      is off, and that the server's disk is not full";

impl Membership {
    /// Returns the row that this worker writes at a heartbeat.
    pub(super) fn ledger_heartbeat(&self, shards: Vec<ShardId>, state: &'static str) -> Heartbeat {
        Heartbeat {
            worker: self.settings.worker.clone(),
            run: self.run,
            shards,
            state,
            refused_since: self.vitals.writes_refused_since(),
            clock_off: self.clock_watch.unreported(),
            change: change(self.written_state, state),
            grants_expired: self.vitals.grants_expired(),
            now: self.ports.clock.now(),
        }
    }

    /// Records that Postgres stored a heartbeat with the state `state`.
    pub(super) fn writes_taken(&mut self, state: &'static str) {
        self.written_state = state;
        if self.vitals.writes_refused_since().is_some() {
            tracing::info!("Postgres takes writes again");
            self.vitals.set_writes_refused(None);
        }
    }

    /// Records a failed heartbeat. A failure that lasts is logged as a warning once.
    pub(super) fn heartbeat_failed(&mut self, error: &PortError, liveness: &Liveness) {
        match error {
            PortError::Unwritable(_) if self.vitals.writes_refused_since().is_none() => {
                self.vitals.set_writes_refused(Some(self.ports.clock.now()));
                tracing::warn!(%error, "Postgres refuses writes: this worker gives its shards up until it can write; {ADVICE}");
                liveness.note_failure(Some(format!("Postgres refuses writes ({error}): {ADVICE}")));
            }
            PortError::Unwritable(_) => tracing::debug!(%error, "Postgres still refuses writes"),
            _ => {
                // Without digits, because a failure that differs in its seconds only is still the same kind.
                let kind: String = error.to_string().chars().filter(|c| !c.is_ascii_digit()).collect();
                if self.last_failure.as_ref() == Some(&kind) {
                    tracing::debug!(%error, "heartbeat failed again");
                } else {
                    tracing::warn!(%error, "heartbeat failed: shards are kept only as long as their lease is certain");
                    self.last_failure = Some(kind);
                }
                liveness.note_failure(Some(format!("the last heartbeat failed: {error}")));
            }
        }
    }
}

/// Returns the event for operators when the state changes from `before` to `now`.
fn change(before: &str, now: &str) -> Option<StateChange> {
    match (before, now) {
        _ if before == now => None,
        (_, "benched") => Some(StateChange::Suspended),
        (_, "replaced") => Some(StateChange::Replaced),
        ("benched" | "replaced", "starting" | "running") => Some(StateChange::Resumed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspension_and_its_end_are_reported_once_each() {
        let states = ["starting", "running", "benched", "benched", "running", "running", "draining", "stopped"];
        let changes: Vec<_> = states.windows(2).filter_map(|pair| change(pair[0], pair[1])).collect();
        assert_eq!(changes, [StateChange::Suspended, StateChange::Resumed]);
        assert_eq!(change("running", "replaced"), Some(StateChange::Replaced));
        assert_eq!(change("replaced", "starting"), Some(StateChange::Resumed));
        assert_eq!(change("benched", "draining"), None);
    }
}
