//! `InstrumentedPlanningStore` measures the reads of a tick, from `roll_over_days` to `due_replies`, and how
//! late a tick begins.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{Meter, Service::Postgres};
use crate::{
    domain::{
        id::ShardId,
        lease::MachineTime,
        plan::Candidate,
        reply::DueReply,
        time::{LocalDates, next_tick},
    },
    ports::{PlanningStore, PortError, Roster},
};

pub(super) struct InstrumentedPlanningStore {
    inner: Arc<dyn PlanningStore>,
    meter: Meter,
    /// The start of the tick whose reads are in progress.
    began: Mutex<Option<MachineTime>>,
    /// The time between two ticks, and the due time of the last tick that was read.
    interval: TimeDelta,
    tick: Mutex<Option<DateTime<Utc>>>,
}

impl InstrumentedPlanningStore {
    pub(super) fn new(inner: Arc<dyn PlanningStore>, meter: Meter, interval: TimeDelta) -> InstrumentedPlanningStore {
        InstrumentedPlanningStore { inner, meter, began: Mutex::default(), interval, tick: Mutex::default() }
    }

    /// Records the delay of the first read for a tick. Reads between ticks, after shards were acquired, do not
    /// count, nor do the reads at the start of a worker.
    fn note_lag(&self, now: DateTime<Utc>) {
        let due = next_tick(now, self.interval) - self.interval;
        let before = lock(&self.tick).replace(due);
        if before.is_some_and(|before| before < due) {
            self.meter.meters.tick_lag.observe((now - due).as_seconds_f64());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl PlanningStore for InstrumentedPlanningStore {
    async fn roll_over_days(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<u64, PortError> {
        *lock(&self.began) = Some(self.meter.clock.machine());
        self.note_lag(now);
        self.meter.timed(Postgres, "turn_days", self.inner.roll_over_days(shards, todays, now)).await
    }

    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError> {
        self.meter.timed(Postgres, "candidates", self.inner.candidates(shards, todays, now)).await
    }

    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError> {
        let due = self.meter.timed(Postgres, "due_replies", self.inner.due_replies(shards, now, before)).await?;
        if let Some(began) = lock(&self.began).take() {
            self.meter.meters.tick.observe(self.meter.clock.machine().since(began).as_secs_f64());
        }
        Ok(due)
    }

    async fn roster(
        &self,
        day: NaiveDate,
        now: DateTime<Utc>,
        known: Option<i32>,
    ) -> Result<Option<Roster>, PortError> {
        self.meter.timed(Postgres, "roster", self.inner.roster(day, now, known)).await
    }
}
