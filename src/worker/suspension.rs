//! A worker whose ticks fail one after another stops scheduling, says so, and comes back by itself
//! (`domain/suspension.rs`).
//!
//! *What stops*: no tick, no batch; its shards are handed over like those of a worker that stops, so what is on its way is
//! settled first. *What goes on*: the heartbeat, in which it says so; a worker that works alone keeps its solo lease, for
//! giving it up would let another start beside it, which could then not be got rid of when this one comes back. *What ends
//! it*: a probe that works, or an order to start or a trigger, which are probes made at once.
//!
//! A service that is away is asked again at least once a heartbeat, however long it stays away, so that sending goes on as
//! soon after its return as after any outage; only what will not pass by itself is asked once a minute.

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

/// A worker on the bench.
#[derive(Debug)]
pub(super) struct PendingProbe {
    pub(super) probe_at: MachineTime,
    /// The shards that the last tick was for.
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

    /// Notes a tick that failed. Returns whether the worker is benched for it.
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

    /// Sees whether ticks would work again, and goes back to work if so.
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

    /// Makes the next probe at once, where one is waited for: somebody may have put right what was wrong.
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

    /// Asks all that a tick asks, and changes nothing: the statements that write are asked for no shard, and of the rosters
    /// only one that there is, which is remade if it is outdated.
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
