//! The ledger of a simulated fleet, with every invariant looked at after every statement of every worker.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use warmup::{
    domain::{
        daily_room::UserDay,
        id::{Epoch, RunId, ShardId, UserId, WorkerId},
        ledger_mark::{LedgerState, SettledMail},
    },
    ports::{
        Clock, Heartbeat, Ledger, LedgerPulse, PortError, Reservation, ReserveBatch, Settlement, SweepReport,
        SweepRequest,
    },
    simulation::MemoryDatabase,
};

pub struct Audited {
    world: MemoryDatabase,
    clock: Arc<dyn Clock>,
    violations: Mutex<Vec<String>>,
    statements: AtomicUsize,
    reserved: Mutex<Vec<(DateTime<Utc>, ShardId, WorkerId)>>,
    losing: AtomicBool,
}

impl Audited {
    pub fn new(world: MemoryDatabase, clock: Arc<dyn Clock>) -> Audited {
        let (violations, statements, reserved) = Default::default();
        Audited { world, clock, violations, statements, reserved, losing: AtomicBool::new(false) }
    }

    /// From here on every reserve is done and its answer lost, or not any more.
    pub fn lose_reserves(&self, on: bool) {
        self.losing.store(on, Ordering::Relaxed);
    }

    /// What was found at any statement so far.
    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    pub fn statements(&self) -> usize {
        self.statements.load(Ordering::Relaxed)
    }

    /// When a mail of which shard was reserved by whom, in order.
    pub fn reserved(&self) -> Vec<(DateTime<Utc>, ShardId, WorkerId)> {
        self.reserved.lock().unwrap().clone()
    }

    fn look<T>(&self, answer: T) -> T {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.violations.lock().unwrap().extend(self.world.audit());
        answer
    }

    fn note(&self, batch: &ReserveBatch, reservations: &[Reservation]) {
        let now = self.clock.now();
        let shards = reservations.iter().filter_map(|reservation| match reservation {
            Reservation::Reserved(flight) => Some((now, flight.shard, batch.worker.clone())),
            Reservation::Refused(_) => None,
        });
        self.reserved.lock().unwrap().extend(shards);
    }
}

#[async_trait]
impl Ledger for Audited {
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
        self.world.raise(worker, read).await
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
        let answer = self.look(self.world.reserve(batch).await)?;
        if self.losing.load(Ordering::Relaxed) {
            return Err(PortError::Unknown("the answer to a reserve was lost".into()));
        }
        self.note(batch, &answer);
        Ok(answer)
    }
    async fn release(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.look(self.world.release(run, message_ids, now).await)
    }
    async fn log_lost(&self, worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.look(self.world.log_lost(worker, results, now).await)
    }
    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError> {
        self.look(self.world.settle(worker, results).await)
    }
    async fn sweep(&self, sweep: &SweepRequest) -> Result<SweepReport, PortError> {
        self.look(self.world.sweep(sweep).await)
    }
}
