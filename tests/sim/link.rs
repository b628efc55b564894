//! What connects one worker of a simulation to the services that all share: it can be cut, the worker stopped in its
//! tracks, or killed. A killed worker's calls never come back, so from outside it is as gone as a process.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use warmup::{
    domain::{
        daily_room::UserDay,
        id::{Epoch, RunId, ShardId, UserId, WorkerId},
        ledger_mark::{LedgerMark, LedgerState, SettledMail},
        maintenance::{MaintenanceJob, PruneTarget},
        plan::Candidate,
        reply::DueReply,
        time::LocalDates,
    },
    ports::{
        Bell, CapRequest, Caps, Connection, FleetControl, Grant, Heartbeat, HeartbeatReply, LeaseKey, Leases, Ledger,
        LedgerPulse, Mailer, MaintenanceStore, Member, MemberStatus, MembershipStore, PlanningStore, PortError,
        PruneReport, Reservation, ReserveBatch, Roster, SendPermit, SendReport, Settlement, Submission, SweepReport,
        SweepRequest, fleet_control::Notification,
    },
    worker::Ports,
};

use crate::{
    sign::OrderedWatch,
    sky::{ServiceFaults, read_only},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Redis,
    Postgres,
}

/// How a worker is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Whole,
    /// It reaches one of the services no more; the others do.
    Cut(Service),
    /// Its Postgres refuses to write: a pooler sends it to a standby. The others write.
    ReadOnly,
    /// SIGSTOP: what it was about to ask is asked when it goes on.
    Frozen,
    /// SIGKILL.
    Dead,
}

/// One worker's way to the services.
pub struct WorkerLink {
    to: Ports,
    sky: Arc<ServiceFaults>,
    state: OrderedWatch<State>,
    /// Hears of every reserve when the worker asks for it, whenever it is done.
    asked: Box<dyn Fn(&ReserveBatch) + Send + Sync>,
}

impl WorkerLink {
    pub fn to(services: Ports, sky: Arc<ServiceFaults>) -> Arc<WorkerLink> {
        WorkerLink::asking(services, sky, |_| {})
    }

    /// The same, where `asked` hears of every reserve.
    pub fn asking(
        services: Ports,
        sky: Arc<ServiceFaults>,
        asked: impl Fn(&ReserveBatch) + Send + Sync + 'static,
    ) -> Arc<WorkerLink> {
        Arc::new(WorkerLink { to: services, sky, state: OrderedWatch::showing(State::Whole), asked: Box::new(asked) })
    }

    /// Changes the connection; the dead stay dead.
    pub fn set(&self, state: State) {
        if self.state.read() != State::Dead {
            self.state.show(state);
        }
    }

    /// The ports of this worker.
    pub fn ports(self: &Arc<WorkerLink>) -> Ports {
        Ports {
            clock: Arc::clone(&self.to.clock),
            entropy: Arc::clone(&self.to.entropy),
            mailboxes: self.clone(),
            ledger: self.clone(),
            caps: self.clone(),
            leases: self.clone(),
            members: self.clone(),
            mailer: self.clone(),
            duties: self.clone(),
            orders: self.clone(),
            bell: self.clone(),
        }
    }

    /// Waits while the worker is frozen, and for ever once it is dead. Returns how it is connected.
    pub async fn alive(&self) -> State {
        self.state.wait_for(|state| !matches!(state, State::Frozen | State::Dead)).await
    }

    async fn death(&self) {
        self.state.wait_for(|state| state == State::Dead).await;
    }

    async fn call<T: Send + 'static>(
        &self,
        service: Service,
        writes: bool,
        asked: impl Future<Output = Result<T, PortError>> + Send + 'static,
    ) -> Result<T, PortError> {
        match self.alive().await {
            State::Cut(cut) if cut == service => return Err(PortError::Unavailable("the link is cut".into())),
            State::ReadOnly if service == Service::Postgres && writes => return Err(read_only()),
            _ => {}
        }
        let answer = self.sky.through(service, writes, asked).await;
        if self.alive().await == State::Cut(service) {
            return Err(PortError::Unknown("the link was cut before the answer came".into()));
        }
        answer
    }

    async fn redis<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<T, PortError>> + Send + 'static,
    ) -> Result<T, PortError> {
        self.call(Service::Redis, true, asked).await
    }

    async fn postgres<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<T, PortError>> + Send + 'static,
    ) -> Result<T, PortError> {
        self.call(Service::Postgres, false, asked).await
    }

    /// A statement that writes, and that a read-only server refuses.
    async fn postgres_write<T: Send + 'static>(
        &self,
        asked: impl Future<Output = Result<T, PortError>> + Send + 'static,
    ) -> Result<T, PortError> {
        self.call(Service::Postgres, true, asked).await
    }
}

#[async_trait]
impl Leases for WorkerLink {
    async fn acquire(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        let (to, keys) = (Arc::clone(&self.to.leases), keys.to_vec());
        self.redis(async move { to.acquire(owner, &keys, ttl).await }).await
    }
    async fn renew(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        let (to, keys) = (Arc::clone(&self.to.leases), keys.to_vec());
        self.redis(async move { to.renew(owner, &keys, ttl).await }).await
    }
    async fn release(&self, owner: RunId, keys: &[LeaseKey]) -> Result<(), PortError> {
        let (to, keys) = (Arc::clone(&self.to.leases), keys.to_vec());
        self.redis(async move { to.release(owner, &keys).await }).await
    }
    async fn skew(&self, now: i64) -> Result<i64, PortError> {
        let to = Arc::clone(&self.to.leases);
        self.redis(async move { to.skew(now).await }).await
    }
}

#[async_trait]
impl MembershipStore for WorkerLink {
    async fn heartbeat(
        &self,
        run: RunId,
        status: &MemberStatus,
        seat: LeaseKey,
        due: &[ShardId],
        ttl: Duration,
    ) -> Result<HeartbeatReply, PortError> {
        let (to, status, due) = (Arc::clone(&self.to.members), status.clone(), due.to_vec());
        self.redis(async move { to.heartbeat(run, &status, seat, &due, ttl).await }).await
    }
    async fn claim(&self, run: RunId, shards: &[ShardId], ttl: Duration) -> Result<Vec<bool>, PortError> {
        let (to, shards) = (Arc::clone(&self.to.members), shards.to_vec());
        self.redis(async move { to.claim(run, &shards, ttl).await }).await
    }
    async fn members(&self) -> Result<Vec<Member>, PortError> {
        let to = Arc::clone(&self.to.members);
        self.redis(async move { to.members().await }).await
    }
    async fn leave(&self, run: RunId) -> Result<(), PortError> {
        let to = Arc::clone(&self.to.members);
        self.redis(async move { to.leave(run).await }).await
    }
    async fn merge_mark(&self, identity: &str, mark: &LedgerMark) -> Result<LedgerMark, PortError> {
        let (to, identity, mark) = (Arc::clone(&self.to.members), identity.to_owned(), mark.clone());
        self.redis(async move { to.merge_mark(&identity, &mark).await }).await
    }
}

#[async_trait]
impl Caps for WorkerLink {
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError> {
        let (to, asks, closed) = (Arc::clone(&self.to.caps), asks.to_vec(), closed.to_vec());
        self.redis(async move { to.grant(now, &asks, &closed).await }).await
    }

    fn counts_connections(&self, host: &str) -> bool {
        self.to.caps.counts_connections(host)
    }
}

#[async_trait]
impl PlanningStore for WorkerLink {
    async fn roll_over_days(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<u64, PortError> {
        let (to, shards, todays) = (Arc::clone(&self.to.mailboxes), shards.to_vec(), todays.clone());
        self.postgres_write(async move { to.roll_over_days(&shards, &todays, now).await }).await
    }
    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError> {
        let (to, shards, todays) = (Arc::clone(&self.to.mailboxes), shards.to_vec(), todays.clone());
        self.postgres(async move { to.candidates(&shards, &todays, now).await }).await
    }
    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError> {
        let (to, shards) = (Arc::clone(&self.to.mailboxes), shards.to_vec());
        self.postgres_write(async move { to.due_replies(&shards, now, before).await }).await
    }
    async fn roster(
        &self,
        day: NaiveDate,
        now: DateTime<Utc>,
        known: Option<i32>,
    ) -> Result<Option<Roster>, PortError> {
        let to = Arc::clone(&self.to.mailboxes);
        self.postgres(async move { to.roster(day, now, known).await }).await
    }
}

#[async_trait]
impl Ledger for WorkerLink {
    async fn prepare(&self, now: DateTime<Utc>) -> Result<(), PortError> {
        let to = Arc::clone(&self.to.ledger);
        self.postgres_write(async move { to.prepare(now).await }).await
    }
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<LedgerPulse, PortError> {
        let (to, heartbeat) = (Arc::clone(&self.to.ledger), heartbeat.clone());
        self.postgres_write(async move { to.heartbeat(&heartbeat).await }).await
    }
    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError> {
        let (to, shards) = (Arc::clone(&self.to.ledger), shards.to_vec());
        self.postgres(async move { to.epochs(&shards).await }).await
    }
    async fn shards_of(&self, worker: &WorkerId) -> Result<Vec<ShardId>, PortError> {
        let (to, worker) = (Arc::clone(&self.to.ledger), worker.clone());
        self.postgres(async move { to.shards_of(&worker).await }).await
    }
    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError> {
        let (to, worker, read) = (Arc::clone(&self.to.ledger), worker.clone(), read.to_vec());
        self.postgres_write(async move { to.raise(&worker, &read).await }).await
    }
    async fn daily_room(&self, users: &[UserId], days: &[NaiveDate]) -> Result<Vec<UserDay>, PortError> {
        let (to, users, days) = (Arc::clone(&self.to.ledger), users.to_vec(), days.to_vec());
        self.postgres(async move { to.daily_room(&users, &days).await }).await
    }
    async fn note_slow_hosts(&self, worker: &WorkerId, hosts: &[String], now: DateTime<Utc>) -> Result<(), PortError> {
        let (to, worker, hosts) = (Arc::clone(&self.to.ledger), worker.clone(), hosts.to_vec());
        self.postgres(async move { to.note_slow_hosts(&worker, &hosts, now).await }).await
    }
    async fn state(&self, settled: Option<&SettledMail>) -> Result<LedgerState, PortError> {
        let (to, settled) = (Arc::clone(&self.to.ledger), settled.cloned());
        self.postgres(async move { to.state(settled.as_ref()).await }).await
    }
    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError> {
        (self.asked)(batch);
        let (to, batch) = (Arc::clone(&self.to.ledger), batch.clone());
        self.postgres_write(async move { to.reserve(&batch).await }).await
    }
    async fn release(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError> {
        let (to, message_ids) = (Arc::clone(&self.to.ledger), message_ids.to_vec());
        self.postgres_write(async move { to.release(run, &message_ids, now).await }).await
    }
    async fn log_lost(&self, worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Result<u64, PortError> {
        let (to, worker, results) = (Arc::clone(&self.to.ledger), worker.clone(), results.to_vec());
        self.postgres_write(async move { to.log_lost(&worker, &results, now).await }).await
    }
    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError> {
        let (to, worker, results) = (Arc::clone(&self.to.ledger), worker.clone(), results.to_vec());
        self.postgres_write(async move { to.settle(&worker, &results).await }).await
    }
    async fn sweep(&self, sweep: &SweepRequest) -> Result<SweepReport, PortError> {
        let (to, sweep) = (Arc::clone(&self.to.ledger), sweep.clone());
        self.postgres_write(async move { to.sweep(&sweep).await }).await
    }
}

#[async_trait]
impl MaintenanceStore for WorkerLink {
    async fn finished(&self, day: NaiveDate) -> Result<Option<NaiveDate>, PortError> {
        let to = Arc::clone(&self.to.duties);
        self.postgres(async move { to.finished(day).await }).await
    }
    async fn begin(
        &self,
        worker: &WorkerId,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<Option<BTreeSet<MaintenanceJob>>, PortError> {
        let (to, worker) = (Arc::clone(&self.to.duties), worker.clone());
        self.postgres_write(async move { to.begin(&worker, day, now).await }).await
    }
    async fn prune(&self, kept: PruneTarget, before: NaiveDate) -> Result<PruneReport, PortError> {
        let to = Arc::clone(&self.to.duties);
        self.postgres_write(async move { to.prune(kept, before).await }).await
    }
    async fn note(&self, day: NaiveDate, duty: MaintenanceJob, gone: u64) -> Result<(), PortError> {
        let to = Arc::clone(&self.to.duties);
        self.postgres_write(async move { to.note(day, duty, gone).await }).await
    }
    async fn finish(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<bool, PortError> {
        let to = Arc::clone(&self.to.duties);
        self.postgres_write(async move { to.finish(day, now).await }).await
    }
}

#[async_trait]
impl FleetControl for WorkerLink {
    async fn running(&self) -> Result<bool, PortError> {
        let to = Arc::clone(&self.to.orders);
        self.postgres(async move { to.running().await }).await
    }
    async fn plan_requests(&self) -> Result<Vec<(ShardId, i64)>, PortError> {
        let to = Arc::clone(&self.to.orders);
        self.postgres(async move { to.plan_requests().await }).await
    }
    async fn stop_set_back(&self, worker: &WorkerId, sentence: &str, now: DateTime<Utc>) -> Result<(), PortError> {
        let (to, worker, sentence) = (Arc::clone(&self.to.orders), worker.clone(), sentence.to_owned());
        self.postgres(async move { to.stop_set_back(&worker, &sentence, now).await }).await
    }
}

#[async_trait]
impl Bell for WorkerLink {
    async fn next(&self) -> Notification {
        loop {
            let ring = self.to.bell.next().await;
            // What is rung while the line is cut is not heard.
            if self.alive().await != State::Cut(Service::Redis) {
                return ring;
            }
        }
    }
    async fn ring(&self, ring: Notification) -> Result<(), PortError> {
        let to = Arc::clone(&self.to.bell);
        self.redis(async move { to.ring(ring).await }).await
    }
}

#[async_trait]
impl Mailer for WorkerLink {
    async fn send(&self, mail: &Submission, gate: &SendPermit) -> SendReport {
        tokio::select! {
            biased;
            () = self.death() => std::future::pending().await,
            delivery = self.to.mailer.send(mail, gate) => {
                self.alive().await;
                delivery
            }
        }
    }
}
