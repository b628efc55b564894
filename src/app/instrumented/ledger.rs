//! `InstrumentedLedger` times the ledger calls, and counts reserved, settled, lost and swept mails.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::{Meter, Service::Postgres};
use crate::{
    domain::{
        daily_room::UserDay,
        id::{Epoch, RunId, ShardId, UserId, WorkerId},
        ledger_mark::{LedgerState, SettledMail},
    },
    observe::meters::ReasonLabel,
    ports::{
        Heartbeat, Ledger, LedgerPulse, PortError, Reservation, ReserveBatch, Settlement, SweepReport, SweepRequest,
    },
};

pub(super) struct InstrumentedLedger {
    pub(super) inner: Arc<dyn Ledger>,
    pub(super) meter: Meter,
}

#[async_trait]
impl Ledger for InstrumentedLedger {
    async fn prepare(&self, now: DateTime<Utc>) -> Result<(), PortError> {
        self.meter.timed(Postgres, "prepare", self.inner.prepare(now)).await
    }

    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<LedgerPulse, PortError> {
        // The heartbeat carries the count since the worker's start, and this process has only this worker.
        let expired = &self.meter.meters.grants_expired;
        expired.inc_by(heartbeat.grants_expired.saturating_sub(expired.get()));
        let pulse = self.meter.timed(Postgres, "heartbeat", self.inner.heartbeat(heartbeat)).await;
        let is_read_only = match &pulse {
            Ok(_) => Some(0),
            Err(PortError::Unwritable(_)) => Some(1),
            Err(_) => None,
        };
        if let (Ok(pulse), None) = (&pulse, self.meter.clock.caps_now()) {
            self.meter.meters.clock_offset.set((self.meter.clock.now() - pulse.now).num_seconds());
        }
        if let Some(is_read_only) = is_read_only {
            self.meter.meters.read_only.set(is_read_only);
        }
        pulse
    }

    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError> {
        self.meter.timed(Postgres, "epochs", self.inner.epochs(shards)).await
    }

    async fn shards_of(&self, worker: &WorkerId) -> Result<Vec<ShardId>, PortError> {
        self.meter.timed(Postgres, "shards_of", self.inner.shards_of(worker)).await
    }

    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError> {
        self.meter.timed(Postgres, "raise", self.inner.raise(worker, read)).await
    }

    async fn daily_room(&self, users: &[UserId], days: &[NaiveDate]) -> Result<Vec<UserDay>, PortError> {
        self.meter.timed(Postgres, "daily_room", self.inner.daily_room(users, days)).await
    }

    async fn note_slow_hosts(&self, worker: &WorkerId, hosts: &[String], now: DateTime<Utc>) -> Result<(), PortError> {
        self.meter.meters.slow_hosts.set(hosts.len() as i64);
        self.meter.timed(Postgres, "note_slow_hosts", self.inner.note_slow_hosts(worker, hosts, now)).await
    }

    async fn state(&self, settled: Option<&SettledMail>) -> Result<LedgerState, PortError> {
        self.meter.timed(Postgres, "state", self.inner.state(settled)).await
    }

    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError> {
        let meters = &self.meter.meters;
        meters.batch.observe(batch.asks.len() as f64);
        let answers = self.meter.timed(Postgres, "reserve", self.inner.reserve(batch)).await?;
        for answer in &answers {
            if let Reservation::Refused(refusal) = answer {
                meters.unreserved.get_or_create(&ReasonLabel { reason: refusal.as_str() }).inc();
            }
        }
        Ok(answers)
    }

    async fn release(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.meter.timed(Postgres, "release", self.inner.release(run, message_ids, now)).await
    }

    async fn log_lost(&self, worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Result<u64, PortError> {
        let written = self.meter.timed(Postgres, "log_lost", self.inner.log_lost(worker, results, now)).await?;
        self.meter.meters.lost_mails.inc_by(written);
        Ok(written)
    }

    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError> {
        let meters = &self.meter.meters;
        let settled = self.meter.timed(Postgres, "settle", self.inner.settle(worker, results)).await;
        let reduced = results.iter().filter(|result| result.is_reduced).count() as u64;
        match &settled {
            Ok(changed) => {
                meters.reduced.inc_by(reduced.min(*changed));
                meters.settled.observe(results.len() as f64);
            }
            Err(PortError::Permanent(_)) => drop(meters.refused.inc_by(reduced)),
            Err(_) => {}
        }
        settled
    }

    async fn sweep(&self, sweep: &SweepRequest) -> Result<SweepReport, PortError> {
        let swept = self.meter.timed(Postgres, "sweep", self.inner.sweep(sweep)).await?;
        self.meter.meters.swept.inc_by(swept.uncertain);
        Ok(swept)
    }
}
