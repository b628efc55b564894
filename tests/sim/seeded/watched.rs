//! The services of a seeded simulation as one worker reaches them: whatever is asked of them is done at one instant, and
//! the judge looks at it at that instant.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use warmup::{
    domain::{
        daily_room::UserDay,
        id::{Epoch, FlightId, RunId, ShardId, UserId, WorkerId},
        ledger_mark::{LedgerMark, LedgerState, SettledMail},
        maintenance::{MaintenanceJob, PruneTarget},
        plan::Candidate,
        reply::DueReply,
        time::LocalDates,
    },
    ports::{
        CapRequest, Caps, Clock, Connection, FleetControl, Grant, Heartbeat, HeartbeatReply, LeaseKey, Leases, Ledger,
        LedgerPulse, MaintenanceStore, Member, MemberStatus, MembershipStore, PlanningStore, PortError, PruneReport,
        Reservation, ReserveBatch, Roster, Settlement, SweepReport, SweepRequest,
    },
    simulation::{MemoryCaps, MemoryDatabase, MemoryLeases},
};

use super::{
    judge::{By, Checker},
    kinds::{Fault, Guard},
    scenario::MOVED,
};

/// Results that are older than this when they are written have waited for more than each other.
const WAITED: TimeDelta = TimeDelta::seconds(4);

/// The worker counts from before it asked, and throws away what is older than 3 s.
const GRANT_IS_OLD: Duration = Duration::from_millis(2_900);

/// One life of one worker, as the services see it.
#[derive(Default)]
pub struct Who {
    pub name: String,
    /// Its clock is the fleet's.
    pub right: bool,
    pub run: Mutex<Option<RunId>>,
    /// It was told to stop.
    pub stopping: AtomicBool,
    raised: Mutex<BTreeMap<ShardId, Epoch>>,
    state: Mutex<String>,
}

impl Who {
    pub fn new(name: &str, right: bool) -> Who {
        Who { name: name.to_owned(), right, ..Who::default() }
    }

    pub fn run(&self) -> Option<RunId> {
        *self.run.lock().unwrap()
    }
}

pub struct CheckedPorts {
    pub who: Arc<Who>,
    pub judge: Arc<Checker>,
    pub clock: Arc<dyn Clock>,
    pub world: MemoryDatabase,
    pub leases: Arc<MemoryLeases>,
    pub caps: Arc<MemoryCaps>,
}

impl CheckedPorts {
    fn saw(&self, what: &str, how: &dyn std::fmt::Debug) {
        self.judge.trace(&self.who.name, what, how);
    }

    fn says(&self, status: &MemberStatus) {
        let before = std::mem::replace(&mut *self.who.state.lock().unwrap(), status.state.clone());
        if before != status.state {
            self.judge.happens(format!("{} says that it is {}", self.who.name, status.state));
        }
        let guard = match (before.as_str(), status.state.as_str()) {
            (before, "benched") if before != "benched" => Guard::Benched,
            ("benched", now) if now != "benched" => Guard::BackFromBench,
            (_, "clock-off") => Guard::ClockOff,
            (_, "starting") => Guard::NewcomerWaited,
            _ => return,
        };
        self.judge.guard(guard, 1);
    }

    /// Why flights are given back that nobody has started. A release that is done late may come after the worker has asked
    /// the caps again; then nobody can tell.
    fn given_back(&self, message_ids: &[String]) -> Option<Guard> {
        let mailbox = message_ids.iter().find_map(|id| self.judge.mailbox_of(id))?;
        let moved = self.world.mailbox(mailbox).is_some_and(|mailbox| mailbox.endpoint.host == MOVED);
        match self.judge.since_caps(self.who.run()) {
            _ if self.who.stopping.load(Ordering::Relaxed) => Some(Guard::UnheardGivenBack),
            Some(age) if age > GRANT_IS_OLD => Some(Guard::StaleGrant),
            _ => moved.then_some(Guard::MovedGivenBack),
        }
    }
}

#[async_trait]
impl Leases for CheckedPorts {
    async fn acquire(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        *self.who.run.lock().unwrap() = Some(owner);
        let got = self.leases.acquire(owner, keys, ttl).await?;
        self.saw("acquire", &(keys, &got));
        for (key, got) in keys.iter().zip(&got) {
            match key {
                LeaseKey::Leader if *got => self.judge.leads(owner),
                _ => {}
            }
        }
        Ok(got)
    }
    async fn renew(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.leases.renew(owner, keys, ttl).await
    }
    async fn release(&self, owner: RunId, keys: &[LeaseKey]) -> Result<(), PortError> {
        self.saw("release", &keys);
        if keys.iter().all(|key| matches!(key, LeaseKey::Shard(_))) {
            self.judge.guard(Guard::ShardHandedOver, keys.len() as u64);
        }
        self.leases.release(owner, keys).await
    }
    async fn skew(&self, now: i64) -> Result<i64, PortError> {
        self.leases.skew(now).await
    }
}

#[async_trait]
impl MembershipStore for CheckedPorts {
    async fn heartbeat(
        &self,
        run: RunId,
        status: &MemberStatus,
        seat: LeaseKey,
        due: &[ShardId],
        ttl: Duration,
    ) -> Result<HeartbeatReply, PortError> {
        let pulse = self.leases.heartbeat(run, status, seat, due, ttl).await?;
        self.saw(
            "heartbeat",
            &(
                seat,
                due,
                (pulse.was_member, pulse.has_exclusive_lease, &pulse.still_held),
                &status.state,
                pulse.members.len(),
            ),
        );
        self.says(status);
        self.judge.guard(Guard::LeaseNotRenewed, pulse.still_held.iter().filter(|kept| !**kept).count() as u64);
        self.judge.guard(Guard::SeatLost, (!pulse.has_exclusive_lease).into());
        Ok(pulse)
    }
    async fn claim(&self, run: RunId, shards: &[ShardId], ttl: Duration) -> Result<Vec<bool>, PortError> {
        let got = self.leases.claim(run, shards, ttl).await?;
        self.saw("claim", &(shards, &got));
        self.judge.guard(Guard::LeaseTaken, got.iter().filter(|got| !**got).count() as u64);
        Ok(got)
    }
    async fn members(&self) -> Result<Vec<Member>, PortError> {
        self.leases.members().await
    }
    async fn leave(&self, run: RunId) -> Result<(), PortError> {
        self.leases.leave(run).await
    }
    async fn merge_mark(&self, identity: &str, mark: &LedgerMark) -> Result<LedgerMark, PortError> {
        self.leases.merge_mark(identity, mark).await
    }
}

#[async_trait]
impl Caps for CheckedPorts {
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError> {
        let grants = self.caps.grant(now, asks, closed).await?;
        self.saw("grant", &(asks, closed, &grants));
        self.judge.granted(asks, &grants);
        Ok(grants)
    }

    fn counts_connections(&self, host: &str) -> bool {
        self.caps.counts_connections(host)
    }
}

#[async_trait]
impl PlanningStore for CheckedPorts {
    async fn roll_over_days(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<u64, PortError> {
        let closed = self.world.roll_over_days(shards, todays, now).await?;
        if closed > 0 {
            self.judge.fault(Fault::DayTurned);
        }
        self.saw("turn_days", &(shards, closed));
        Ok(closed)
    }
    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError> {
        let candidates = self.world.candidates(shards, todays, now).await?;
        self.judge.plans(self.who.run());
        self.saw("candidates", &candidates.len());
        Ok(candidates)
    }
    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError> {
        let due = self.world.due_replies(shards, now, before).await?;
        self.saw("due_replies", &due.len());
        Ok(due)
    }
    async fn roster(
        &self,
        day: NaiveDate,
        now: DateTime<Utc>,
        known: Option<i32>,
    ) -> Result<Option<Roster>, PortError> {
        self.world.roster(day, now, known).await
    }
}

#[async_trait]
impl Ledger for CheckedPorts {
    async fn prepare(&self, now: DateTime<Utc>) -> Result<(), PortError> {
        self.world.prepare(now).await
    }
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<LedgerPulse, PortError> {
        self.world.heartbeat(heartbeat).await
    }
    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError> {
        self.world.epochs(shards).await
    }
    async fn shards_of(&self, worker: &WorkerId) -> Result<Vec<ShardId>, PortError> {
        self.world.shards_of(worker).await
    }
    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError> {
        let raised = self.world.raise(worker, read).await?;
        self.saw("raise", &(read, &raised));
        self.judge.raised(read, &raised);
        for ((shard, read), raised) in read.iter().zip(&raised) {
            let Some(epoch) = raised else { continue };
            let before = self.who.raised.lock().unwrap().insert(*shard, *epoch);
            if before.is_some_and(|before| before < *read) {
                self.judge.guard(Guard::RaisedAgain, 1);
            }
            if self.judge.others_fly(*shard, self.who.run()) {
                self.judge.fault(Fault::HandOverInBatch);
            }
        }
        Ok(raised)
    }
    async fn daily_room(&self, users: &[UserId], days: &[NaiveDate]) -> Result<Vec<UserDay>, PortError> {
        self.world.daily_room(users, days).await
    }
    async fn note_slow_hosts(&self, worker: &WorkerId, hosts: &[String], now: DateTime<Utc>) -> Result<(), PortError> {
        self.world.note_slow_hosts(worker, hosts, now).await
    }
    async fn state(&self, settled: Option<&SettledMail>) -> Result<LedgerState, PortError> {
        self.world.state(settled).await
    }
    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError> {
        let answer = self.world.reserve(batch).await?;
        let brief: Vec<_> = batch.asks.iter().map(|ask| (ask.mailbox, &ask.message_id)).collect();
        self.saw("reserve", &(brief, answer.iter().map(brief_of).collect::<Vec<_>>()));
        self.judge.reserved(batch, &answer);
        Ok(answer)
    }
    async fn release(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError> {
        let guard = self.given_back(message_ids);
        let released = self.world.release(run, message_ids, now).await?;
        self.saw("give back", &(message_ids, released));
        self.judge.after(&By::GivenBack);
        match guard {
            Some(guard) => self.judge.guard(guard, released),
            // After a lost answer.
            None => {
                self.judge.guard(Guard::Abandoned, 1);
                self.judge.guard(Guard::AbandonGaveBack, u64::from(released > 0));
            }
        }
        Ok(released)
    }
    async fn log_lost(&self, worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Result<u64, PortError> {
        let written = self.world.log_lost(worker, results, now).await?;
        self.saw("log lost", &(results.len(), written));
        self.judge.logs_lost();
        Ok(written)
    }
    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError> {
        let changed = self.world.settle(worker, results).await?;
        let brief: Vec<_> = results.iter().map(|r| (r.flight, r.outcome.fate, r.outcome.reason, r.at)).collect();
        self.saw("settle", &(brief, changed));
        self.judge.settled(results);
        let waited = |result: &&Settlement| self.who.right && self.clock.now() - result.at > WAITED;
        self.judge.guard(Guard::ResultsWaited, results.iter().filter(waited).count() as u64);
        Ok(changed)
    }
    async fn sweep(&self, sweep: &SweepRequest) -> Result<SweepReport, PortError> {
        let swept = self.world.sweep(sweep).await?;
        self.saw("sweep", &(&sweep.running, swept));
        self.judge.after(&By::Sweep(sweep));
        self.judge.guard(Guard::SweptUncertain, swept.uncertain);
        self.judge.guard(Guard::SweptReleased, swept.released);
        Ok(swept)
    }
}

fn brief_of(reservation: &Reservation) -> Result<(FlightId, i64), &'static str> {
    match reservation {
        Reservation::Reserved(flight) => Ok((flight.id, flight.recipient.mailbox.0)),
        Reservation::Refused(refusal) => Err(refusal.as_str()),
    }
}

#[async_trait]
impl MaintenanceStore for CheckedPorts {
    async fn finished(&self, day: NaiveDate) -> Result<Option<NaiveDate>, PortError> {
        self.world.finished(day).await
    }
    async fn begin(
        &self,
        worker: &WorkerId,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<Option<BTreeSet<MaintenanceJob>>, PortError> {
        let done = self.world.begin(worker, day, now).await?;
        self.saw("duties begin", &(day, &done));
        Ok(done)
    }
    async fn prune(&self, kept: PruneTarget, before: NaiveDate) -> Result<PruneReport, PortError> {
        self.world.prune(kept, before).await
    }
    async fn note(&self, day: NaiveDate, duty: MaintenanceJob, gone: u64) -> Result<(), PortError> {
        self.world.note(day, duty, gone).await
    }
    async fn finish(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<bool, PortError> {
        let first = self.world.finish(day, now).await?;
        self.saw("duties finish", &(day, first));
        self.judge.finished(day, first, now);
        Ok(first)
    }
}

#[async_trait]
impl FleetControl for CheckedPorts {
    async fn running(&self) -> Result<bool, PortError> {
        self.world.running().await
    }
    async fn plan_requests(&self) -> Result<Vec<(ShardId, i64)>, PortError> {
        self.world.plan_requests().await
    }
    async fn stop_set_back(&self, worker: &WorkerId, sentence: &str, now: DateTime<Utc>) -> Result<(), PortError> {
        self.judge.happens(format!("{worker} says: {sentence}"));
        self.judge.recognizes_set_back(&worker.0, sentence);
        self.world.stop_set_back(worker, sentence, now).await
    }
}
