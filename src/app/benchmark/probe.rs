//! The `Probe` times the calls of a worker to its ports, and counts batches and settled mails.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use tokio::sync::Notify;

use crate::{
    domain::{
        daily_room::UserDay,
        id::{Epoch, RunId, ShardId, UserId, WorkerId},
        lease::MachineTime,
        ledger_mark::{LedgerState, SettledMail},
        outcome::OutcomeKind,
    },
    ports::{
        CapRequest, Caps, Clock, Connection, Grant, Heartbeat, Ledger, LedgerPulse, Mailer, PortError, Reservation,
        ReserveBatch, SendPermit, SendReport, Settlement, Submission, SweepReport, SweepRequest,
    },
    worker::Ports,
};

/// A `Step` holds the durations of one step of a batch (`caps`, `reserve`, `settle`) or of a mail, in
/// milliseconds.
///
/// The step `whole` is a mail from its first packet to the reply to its final dot. Steps come in the order in
/// which they first occurred.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub step: &'static str,
    pub count: usize,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
}

/// The counts and durations that a probe has collected so far.
pub(super) struct Seen {
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) first_failure: Option<String>,
    pub(super) batches: u64,
    pub(super) time: Duration,
    pub(super) steps: Vec<Step>,
}

/// A `Probe` collects the durations and outcomes that the wrapped ports report.
pub(super) struct Probe {
    clock: Arc<dyn Clock>,
    notes: Mutex<Notes>,
    settled: Notify,
}

#[derive(Default)]
struct Notes {
    /// The durations of each step in microseconds, in the order in which the steps first occurred.
    times: Vec<(&'static str, Vec<u32>)>,
    places: BTreeMap<&'static str, usize>,
    began: Option<MachineTime>,
    ended: Option<MachineTime>,
    batches: u64,
    sent: u64,
    failed: u64,
    first_failure: Option<String>,
}

impl Probe {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Probe {
        Probe { clock, notes: Mutex::default(), settled: Notify::new() }
    }

    /// Waits until `wanted` mails are sent, or until nothing was settled for the duration of `silence`.
    pub(super) async fn until_settled(&self, wanted: u64, silence: Duration) {
        while self.lock().sent < wanted {
            if tokio::time::timeout(silence, self.settled.notified()).await.is_err() {
                return;
            }
        }
    }

    pub(super) fn seen(&self) -> Seen {
        let mut notes = self.lock();
        let time = notes.began.zip(notes.ended).map_or(Duration::ZERO, |(began, ended)| ended.since(began));
        let steps = notes.times.iter_mut().map(|(step, times)| of(step, times)).collect();
        let first_failure = notes.first_failure.clone();
        Seen { sent: notes.sent, failed: notes.failed, first_failure, batches: notes.batches, time, steps }
    }

    /// Awaits a call and records its duration under `step`.
    async fn timed<T>(&self, step: &'static str, asking: impl Future<Output = T>) -> T {
        let asked = self.clock.machine();
        let answer = asking.await;
        let took = self.clock.machine().since(asked);
        self.lock().note(step, took);
        answer
    }

    /// Locks the notes. The lock is poisoned only by a panic between two plain writes, so the notes stay usable.
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn note(&mut self, step: &'static str, took: Duration) {
        let place = *self.places.entry(step).or_insert_with(|| {
            self.times.push((step, Vec::new()));
            self.times.len() - 1
        });
        self.times[place].1.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }
}

fn of(step: &'static str, micros: &mut [u32]) -> Step {
    micros.sort_unstable();
    let at = |percent: usize| {
        let place = (micros.len() * percent).div_ceil(100).saturating_sub(1);
        micros.get(place).map_or(0.0, |micros| f64::from(*micros) / 1e3)
    };
    Step { step, count: micros.len(), p50_ms: at(50), p95_ms: at(95), p99_ms: at(99) }
}

/// Wraps the ports that a batch and its mails call: caps, ledger and mailer.
pub(super) fn around(ports: Ports, probe: &Arc<Probe>) -> Ports {
    let probe = || Arc::clone(probe);
    Ports {
        caps: Arc::new(Probed { inner: ports.caps, probe: probe() }),
        ledger: Arc::new(Probed { inner: ports.ledger, probe: probe() }),
        mailer: Arc::new(Probed { inner: ports.mailer, probe: probe() }),
        ..ports
    }
}

struct Probed<T: ?Sized> {
    inner: Arc<T>,
    probe: Arc<Probe>,
}

#[async_trait]
impl Caps for Probed<dyn Caps> {
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError> {
        self.probe.lock().began.get_or_insert(self.probe.clock.machine());
        self.probe.timed("caps", self.inner.grant(now, asks, closed)).await
    }

    fn counts_connections(&self, host: &str) -> bool {
        self.inner.counts_connections(host)
    }
}

#[async_trait]
impl Mailer for Probed<dyn Mailer> {
    async fn send(&self, mail: &Submission, gate: &SendPermit) -> SendReport {
        let delivery = self.inner.send(mail, gate).await;
        let mut notes = self.probe.lock();
        let mut before = Duration::ZERO;
        for passed in &delivery.steps {
            notes.note(passed.step, passed.after.saturating_sub(before));
            before = passed.after;
        }
        notes.note("whole", delivery.latency);
        drop(notes);
        delivery
    }
}

#[async_trait]
impl Ledger for Probed<dyn Ledger> {
    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError> {
        self.probe.lock().batches += 1;
        self.probe.timed("reserve", self.inner.reserve(batch)).await
    }

    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError> {
        let settled = self.probe.timed("settle", self.inner.settle(worker, results)).await?;
        let mut notes = self.probe.lock();
        for Settlement { outcome, .. } in results {
            match outcome.fate {
                OutcomeKind::Sent => notes.sent += 1,
                OutcomeKind::Unstarted => {}
                OutcomeKind::Refused | OutcomeKind::Uncertain => {
                    notes.failed += 1;
                    notes.first_failure.get_or_insert_with(|| format!("{}: {}", outcome.reason, outcome.note));
                }
            }
        }
        notes.ended = Some(self.probe.clock.machine());
        drop(notes);
        self.probe.settled.notify_one();
        Ok(settled)
    }

    async fn prepare(&self, now: DateTime<Utc>) -> Result<(), PortError> {
        self.inner.prepare(now).await
    }

    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<LedgerPulse, PortError> {
        self.inner.heartbeat(heartbeat).await
    }

    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError> {
        self.inner.epochs(shards).await
    }

    async fn shards_of(&self, worker: &WorkerId) -> Result<Vec<ShardId>, PortError> {
        self.inner.shards_of(worker).await
    }

    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError> {
        self.inner.raise(worker, read).await
    }

    async fn daily_room(&self, users: &[UserId], days: &[NaiveDate]) -> Result<Vec<UserDay>, PortError> {
        self.inner.daily_room(users, days).await
    }

    async fn note_slow_hosts(&self, worker: &WorkerId, hosts: &[String], now: DateTime<Utc>) -> Result<(), PortError> {
        self.inner.note_slow_hosts(worker, hosts, now).await
    }

    async fn state(&self, settled: Option<&SettledMail>) -> Result<LedgerState, PortError> {
        self.inner.state(settled).await
    }

    async fn release(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.inner.release(run, message_ids, now).await
    }

    async fn log_lost(&self, worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.inner.log_lost(worker, results, now).await
    }

    async fn sweep(&self, sweep: &SweepRequest) -> Result<SweepReport, PortError> {
        self.inner.sweep(sweep).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut micros: Vec<u32> = (1..=200).rev().map(|n| n * 1_000).collect();
        let step = of("dot", &mut micros);
        assert_eq!((step.count, step.p50_ms, step.p95_ms, step.p99_ms), (200, 100.0, 190.0, 198.0));
        assert_eq!(of("dot", &mut []).p99_ms, 0.0);
    }
}
