//! What connects one worker of a simulation to the services that all share: it can be cut, the worker stopped in its
//! tracks, or killed. A killed worker's calls never come back, so from outside it is as gone as a process.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use tokio::sync::watch;
use warmup::{
    adapters::memory::{MemoryBell, MemoryCaps, MemoryLeases, MemoryMailer, MemoryWorld, VirtualClock},
    domain::{
        id::{Epoch, FlightId, RunId, ShardId, WorkerId},
        pairing::Member as Rostered,
        plan::Candidate,
        reply::DueReply,
        time::Todays,
    },
    ports::{
        CapAsk, Caps, Clock, Connection, Delivery, Entropy, Gate, Grant, LeaseKey, Leases, Ledger, Mailboxes, Mailer,
        Member, Members, Outgoing, PortError, Pulse, Reservation, ReserveBatch, Settlement, Status, Sweep, Swept,
    },
    worker::Ports,
};

use crate::{audited::Audited, grants::Noted};

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
    /// SIGSTOP: what it was about to ask is asked when it goes on.
    Frozen,
    /// SIGKILL.
    Dead,
}

/// What all workers share.
#[derive(Clone)]
pub struct Services {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub world: MemoryWorld,
    pub ledger: Arc<Audited>,
    pub caps: Arc<MemoryCaps>,
    /// The same caps, with every grant noted.
    pub noted: Arc<Noted>,
    pub bell: Arc<MemoryBell>,
    /// The clock that can be suspended.
    pub machine: VirtualClock,
    pub leases: Arc<MemoryLeases>,
    pub mailer: Arc<MemoryMailer>,
}

/// One worker's way to them.
pub struct Link {
    services: Services,
    state: watch::Sender<State>,
}

impl Link {
    pub fn to(services: &Services) -> Arc<Link> {
        Arc::new(Link { services: services.clone(), state: watch::Sender::new(State::Whole) })
    }

    /// Changes the connection; the dead stay dead.
    pub fn set(&self, state: State) {
        self.state.send_if_modified(|now| {
            let alive = *now != State::Dead;
            if alive {
                *now = state;
            }
            alive
        });
    }

    /// The ports of this worker.
    pub fn ports(self: &Arc<Link>) -> Ports {
        Ports {
            clock: Arc::clone(&self.services.clock),
            entropy: Arc::clone(&self.services.entropy),
            mailboxes: self.clone(),
            ledger: self.clone(),
            caps: self.clone(),
            leases: self.clone(),
            members: self.clone(),
            mailer: self.clone(),
            duties: Arc::new(self.services.world.clone()),
            orders: Arc::new(self.services.world.clone()),
            bell: Arc::new(self.services.bell.another()),
        }
    }

    async fn alive(&self) -> State {
        let mut state = self.state.subscribe();
        let state = state.wait_for(|state| !matches!(state, State::Frozen | State::Dead)).await;
        *state.expect("the link outlives its calls")
    }

    async fn death(&self) {
        let mut state = self.state.subscribe();
        let dead = state.wait_for(|state| *state == State::Dead).await;
        dead.map(drop).expect("the link outlives its calls");
    }

    async fn call<T>(
        &self,
        service: Service,
        asked: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        if self.alive().await == State::Cut(service) {
            return Err(PortError::Unavailable("the link is cut".into()));
        }
        let answer = asked.await;
        self.alive().await;
        answer
    }

    async fn redis<T>(&self, asked: impl Future<Output = Result<T, PortError>>) -> Result<T, PortError> {
        self.call(Service::Redis, asked).await
    }

    async fn postgres<T>(&self, asked: impl Future<Output = Result<T, PortError>>) -> Result<T, PortError> {
        self.call(Service::Postgres, asked).await
    }
}

#[async_trait]
impl Leases for Link {
    async fn acquire(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.redis(self.services.leases.acquire(owner, keys, ttl)).await
    }
    async fn renew(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.redis(self.services.leases.renew(owner, keys, ttl)).await
    }
    async fn release(&self, owner: RunId, keys: &[LeaseKey]) -> Result<(), PortError> {
        self.redis(self.services.leases.release(owner, keys)).await
    }
    async fn skew(&self, now: i64) -> Result<i64, PortError> {
        self.redis(self.services.leases.skew(now)).await
    }
}

#[async_trait]
impl Members for Link {
    async fn heartbeat(
        &self,
        run: RunId,
        status: &Status,
        leases: &[LeaseKey],
        ttl: Duration,
    ) -> Result<Pulse, PortError> {
        self.redis(self.services.leases.heartbeat(run, status, leases, ttl)).await
    }
    async fn members(&self) -> Result<Vec<Member>, PortError> {
        self.redis(self.services.leases.members()).await
    }
    async fn leave(&self, run: RunId) -> Result<(), PortError> {
        self.redis(self.services.leases.leave(run)).await
    }
}

#[async_trait]
impl Caps for Link {
    async fn grant(&self, now: Option<i64>, asks: &[CapAsk], closed: &[Connection]) -> Result<Vec<Grant>, PortError> {
        self.redis(self.services.noted.grant(now, asks, closed)).await
    }

    fn counts_connections(&self, host: &str) -> bool {
        self.services.noted.counts_connections(host)
    }
}

#[async_trait]
impl Mailboxes for Link {
    async fn turn_days(&self, shards: &[ShardId], todays: &Todays, now: DateTime<Utc>) -> Result<u64, PortError> {
        self.postgres(self.services.world.turn_days(shards, todays, now)).await
    }
    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &Todays,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError> {
        self.postgres(self.services.world.candidates(shards, todays, now)).await
    }
    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError> {
        self.postgres(self.services.world.due_replies(shards, now, before)).await
    }
    async fn roster(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<Vec<Rostered>, PortError> {
        self.postgres(self.services.world.roster(day, now)).await
    }
}

#[async_trait]
impl Ledger for Link {
    async fn prepare(&self, now: DateTime<Utc>) -> Result<(), PortError> {
        self.postgres(self.services.ledger.prepare(now)).await
    }
    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError> {
        self.postgres(self.services.ledger.epochs(shards)).await
    }
    async fn shards_of(&self, worker: &WorkerId) -> Result<Vec<ShardId>, PortError> {
        self.postgres(self.services.ledger.shards_of(worker)).await
    }
    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError> {
        self.postgres(self.services.ledger.raise(worker, read)).await
    }
    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError> {
        self.postgres(self.services.ledger.reserve(batch)).await
    }
    async fn release(&self, flights: &[FlightId], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.postgres(self.services.ledger.release(flights, now)).await
    }
    async fn abandon(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.postgres(self.services.ledger.abandon(run, message_ids, now)).await
    }
    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError> {
        self.postgres(self.services.ledger.settle(worker, results)).await
    }
    async fn sweep(&self, sweep: &Sweep) -> Result<Swept, PortError> {
        self.postgres(self.services.ledger.sweep(sweep)).await
    }
}

#[async_trait]
impl Mailer for Link {
    async fn send(&self, mail: &Outgoing, gate: &Gate) -> Delivery {
        tokio::select! {
            biased;
            () = self.death() => std::future::pending().await,
            delivery = self.services.mailer.send(mail, gate) => {
                self.alive().await;
                delivery
            }
        }
    }
}
