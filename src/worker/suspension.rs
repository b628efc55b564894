//! `Worker` suspends its scheduling after several failed ticks in a row, and resumes by itself
//! (`domain/suspension.rs`).
//!
//! - *Stopped*: no tick and no batch. The shards are handed over as at a stop, so in-flight mails are settled first.
//! - *Continued*: the heartbeat, which reports the suspension. A worker in solo mode keeps its exclusive lease. Without
//!   it another worker could start, and this worker could not resume beside it.
//! - *End*: a successful probe. An order to start the fleet and a trigger make a probe at once.
//!
//! While a service is away, probes run at least once per heartbeat, so that sending resumes as soon as after any other
//! outage. Only an error that will not end by itself is probed once per minute.

use chrono::{DateTime, Utc};

use super::Worker;
use crate::{
    domain::{
        id::ShardId,
        lease::MachineTime,
        suspension::LONGEST_WAIT,
        time::{LocalDates, next_tick},
    },
    ports::PortError,
};

/// The next probe of a suspended worker.
#[derive(Debug)]
pub(super) struct PendingProbe {
    pub(super) probe_at: MachineTime,
    /// The shards of the last tick.
    shards: Vec<ShardId>,
}

impl Worker {
    pub(super) fn tick_worked(&mut self, now: DateTime<Utc>) {
        if self.bench.failures() > 0 {
            tracing::info!("ticks work again");
        }
        self.bench.tick_worked();
        self.vitals.ticked(now);
    }

    /// Records a failed tick. Returns whether it suspends the worker.
    pub(super) fn tick_failed(&mut self, shards: Vec<ShardId>, error: &PortError) -> bool {
        self.vitals.failed();
        if !self.bench.tick_failed() {
            return false;
        }
        let reason =
            format!("scheduling is stopped: {} ticks failed in a row, the last: {error}", self.bench.failures());
        tracing::error!(%error, failures = self.bench.failures(), "scheduling is stopped: shards are given back until a probe works");
        self.liveness.bench(reason);
        self.holdings.bench(true);
        self.benched = Some(PendingProbe { probe_at: self.next_probe(error), shards });
        true
    }

    /// Runs a probe, and resumes the scheduling if it succeeds.
    pub(super) async fn on_probe(&mut self) {
        if !self.clock_watch.is_right() {
            // The next heartbeat compares the clock again.
            let probe_at = self.ports.clock.machine().after(self.settings.heartbeat);
            return self.benched.iter_mut().for_each(|benched| benched.probe_at = probe_at);
        }
        match self.probe().await {
            Ok(()) => self.resume(),
            Err(error) => {
                self.bench.probe_failed();
                let probe_at = self.next_probe(&error);
                tracing::warn!(%error, wait = ?probe_at.since(self.ports.clock.machine()), "scheduling stays stopped");
                self.benched.iter_mut().for_each(|benched| benched.probe_at = probe_at);
            }
        }
    }

    /// Makes a pending probe due now, because an operator may have fixed the cause.
    pub(super) fn retry_now(&mut self) {
        if let Some(benched) = &mut self.benched {
            tracing::info!("by order: trying to schedule again");
            benched.probe_at = self.ports.clock.machine();
            self.bench.reset_backoff();
        }
    }

    fn resume(&mut self) {
        tracing::info!("scheduling goes on: a probe worked");
        self.bench.probe_worked();
        self.liveness.resume();
        self.holdings.bench(false);
        self.benched = None;
        self.next_tick = self.ports.clock.now();
    }

    /// Runs all statements of a tick without a change of mailboxes. The writing statements get no shard, and only a
    /// known roster is read, which is recomputed if it is outdated.
    async fn probe(&mut self) -> Result<(), PortError> {
        let now = self.ports.clock.now();
        self.prepare(now).await?;
        let shards = self.benched.as_ref().map(|benched| benched.shards.clone()).unwrap_or_default();
        let (todays, mailboxes) = (LocalDates::at(now), &self.ports.mailboxes);
        mailboxes.roll_over_days(&[], &todays, now).await?;
        mailboxes.candidates(&shards, &todays, now).await?;
        mailboxes.due_replies(&[], now, next_tick(now, self.interval())).await?;
        self.ports.ledger.daily_room(&[], &todays.dates()).await?;
        if let Some((day, known)) = self.pairings.last_key_value() {
            mailboxes.roster(*day, now, Some(known.version)).await?;
        }
        Ok(())
    }

    fn next_probe(&self, error: &PortError) -> MachineTime {
        let most = match error {
            PortError::Permanent(_) => LONGEST_WAIT,
            _ => self.settings.heartbeat,
        };
        self.ports.clock.machine().after(self.bench.wait(most))
    }
}
