//! `MaintenanceRunner` runs the maintenance jobs of the leader, in a task beside the loop.
//!
//! Before each step it checks that this worker still leads (`leadership.rs`). A step that fails does not block the
//! others. The date is finished when all its jobs are done.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    Ports, WorkerSettings, clock_watch::ClockWatch, leadership::Leadership, settler::InFlight, stats::WorkerStats,
};
use crate::{
    domain::{
        id::RunId,
        maintenance::{MaintenanceJob, PruneTarget, due, next_due, orphan_age},
        shard::all_shards,
    },
    ports::{PortError, SweepRequest},
};

/// The wait after a failed step. Machine clock.
const RETRY: Duration = Duration::from_secs(60);

/// The time between two preparations of the log partitions by the leader. Day clock.
const PARTITIONS_EVERY: TimeDelta = TimeDelta::hours(1);

/// A `MaintenanceRunner` competes for the leadership and runs the jobs while it leads.
pub(super) struct MaintenanceRunner {
    ports: Ports,
    settings: Arc<WorkerSettings>,
    run: RunId,
    unsettled: Arc<InFlight>,
    clock_watch: Arc<ClockWatch>,
    leadership: Leadership,
}

impl MaintenanceRunner {
    pub(super) fn new(
        ports: Ports,
        settings: Arc<WorkerSettings>,
        run: RunId,
        unsettled: Arc<InFlight>,
        vitals: Arc<WorkerStats>,
        clock_watch: Arc<ClockWatch>,
    ) -> MaintenanceRunner {
        let leadership = Leadership::new(ports.clone(), Arc::clone(&settings), run, vitals);
        MaintenanceRunner { ports, settings, run, unsettled, clock_watch, leadership }
    }

    /// Competes for the leadership and runs the jobs while it leads, until `stop`. A stop may interrupt a step; the
    /// next leader repeats it.
    pub(super) async fn run(self, stop: CancellationToken) {
        let working = stop.run_until_cancelled(self.work());
        tokio::join!(self.leadership.run(stop.clone()), working);
    }

    async fn work(&self) {
        let clock = &self.ports.clock;
        // Every worker prepares once at its start, so that the first worker of a fleet need not wait for a leader.
        let mut prepared: Option<DateTime<Utc>> = None;
        let mut finished = None;
        loop {
            if !self.clock_watch.is_right() {
                // The clock can only become right when the next heartbeat compares it.
                clock.sleep(self.settings.heartbeat).await;
                continue;
            }
            let now = clock.now();
            // `abs`, because the clock may have been set back since.
            let stale = prepared.is_none_or(|at: DateTime<Utc>| (now - at).abs() >= PARTITIONS_EVERY);
            let mut failed = false;
            if prepared.is_none() || (stale && self.leadership.holds()) {
                match self.ports.ledger.prepare(now).await {
                    Ok(()) => prepared = Some(now),
                    Err(error) => {
                        tracing::warn!(%error, "log partitions are not made ahead: it is repeated");
                        failed = true;
                    }
                }
            }
            let day = due(self.settings.timezone, now);
            if self.leadership.holds() && finished < Some(day) {
                match self.do_all(day).await {
                    Ok(true) => finished = Some(day),
                    Ok(false) => failed = true,
                    Err(error) => {
                        tracing::warn!(%error, %day, "daily duties interrupted: what is left is repeated");
                        failed = true;
                    }
                }
            }
            self.wait(now, failed).await;
        }
    }

    /// Waits for the next date, the next hour or the leadership, at most one minute at a time. After a failure it waits
    /// for the retry only.
    async fn wait(&self, now: DateTime<Utc>, failed: bool) {
        let clock = &self.ports.clock;
        if failed {
            return clock.sleep(RETRY).await;
        }
        tokio::select! {
            biased;
            () = self.leadership.gained() => {}
            () = clock.sleep_until(next_due(self.settings.timezone, now).min(now + PARTITIONS_EVERY)) => {}
            // The clock may be set right meanwhile, so `now` is not relied on for longer.
            () = clock.sleep(RETRY) => {}
        }
    }

    /// Runs the jobs of `day` that are not done. Returns whether all are finished, by this worker or another one.
    async fn do_all(&self, day: NaiveDate) -> Result<bool, PortError> {
        let (duties, now) = (&self.ports.duties, self.ports.clock.now());
        if duties.finished(day).await? >= Some(day) {
            return Ok(true);
        }
        let Some(done) = duties.begin(&self.settings.worker, day, now).await? else { return Ok(true) };
        let mut failed = false;
        for duty in MaintenanceJob::ALL.into_iter().filter(|duty| !done.contains(duty)) {
            match self.perform(duty, day).await {
                Ok(gone) => duties.note(day, duty, gone).await?,
                Err(error @ PortError::Lost(_)) => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, duty = duty.as_str(), "a daily duty failed: it is repeated");
                    failed = true;
                }
            }
        }
        if failed {
            return Ok(false);
        }
        self.still_leading()?;
        if duties.finish(day, self.ports.clock.now()).await? {
            tracing::info!(%day, "daily duties done");
        }
        Ok(true)
    }

    async fn perform(&self, duty: MaintenanceJob, day: NaiveDate) -> Result<u64, PortError> {
        self.still_leading()?;
        match duty {
            MaintenanceJob::Partitions => self.ports.ledger.prepare(self.ports.clock.now()).await.map(|()| 0),
            MaintenanceJob::Flights => self.sweep().await,
            MaintenanceJob::Retire(kept) => self.retire(kept, day).await,
        }
    }

    async fn retire(&self, kept: PruneTarget, day: NaiveDate) -> Result<u64, PortError> {
        let before = self.settings.retention.keep_from(kept, day, self.ports.clock.now());
        let mut gone = 0;
        loop {
            let retired = self.ports.duties.prune(kept, before).await?;
            gone += retired.gone;
            if !retired.more {
                return Ok(gone);
            }
            self.still_leading()?;
        }
    }

    /// Settles old in-flight mails that no owner of their shard has swept.
    async fn sweep(&self) -> Result<u64, PortError> {
        let sweep = SweepRequest {
            worker: self.settings.worker.clone(),
            run: self.run,
            shards: all_shards(self.settings.shards),
            running: self.unsettled.running(),
            unstarted: Vec::new(),
            newest: self.unsettled.newest(),
            older_than: orphan_age(self.settings.mail_deadline),
            now: self.ports.clock.now(),
        };
        let swept = self.ports.ledger.sweep(&sweep).await?;
        Ok(swept.uncertain + swept.released)
    }

    fn still_leading(&self) -> Result<(), PortError> {
        if !self.clock_watch.is_right() {
            return Err(PortError::Lost("this machine's clock is in doubt".to_owned()));
        }
        let lost = || PortError::Lost("this worker does not lead any more".to_owned());
        self.leadership.holds().then_some(()).ok_or_else(lost)
    }
}
