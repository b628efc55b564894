//! A simulated day: one worker, memory adapters that are audited after every statement, and a weather.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::{
        memory::{
            Fault, MemoryBell, MemoryCaps, MemoryLeases, MemoryMailbox, MemoryMailer, MemoryWorld, VirtualClock,
            Weather,
            world::{DayRow, LogRow, ReplyRow, Standing},
        },
        system::Dice,
    },
    domain::{
        caps::CapLimits,
        duties::Retention,
        id::{Epoch, FlightId, MailboxId, ReplyId, RunId, ShardId, UserId, WorkerId},
        mailbox::{Endpoint, Security},
        ramp::Ramp,
        time::{Schedule, Weekdays},
    },
    observe::liveness::Liveness,
    ports::{Clock, Ledger, PortError, Reservation, ReserveBatch, Settlement, Sweep, Swept},
    worker::{Ports, Report, Worker, WorkerSettings},
};

use crate::grants::Noted;

pub const SHARDS: u16 = 16;

/// What is simulated.
#[derive(Clone)]
pub struct Scenario {
    pub seed: u64,
    pub mailboxes: i64,
    pub quota: u16,
    pub weather: Weather,
    /// What fails, from when to when after 08:45, in minutes.
    pub outages: Vec<(Outage, i64, i64)>,
}

#[derive(Clone, Copy, Debug)]
pub enum Outage {
    Ledger(Fault),
    Caps(Fault),
    Leases(Fault),
    /// All leases and buckets are lost at the beginning.
    RedisForgets,
    /// The machine is suspended all the while: nothing runs, the clocks go on.
    Asleep,
}

/// What a day came to.
#[derive(Debug)]
pub struct Day {
    pub report: Report,
    pub days: Vec<(MailboxId, DayRow)>,
    pub logs: Vec<(FlightId, LogRow)>,
    pub replies: Vec<(ReplyId, ReplyRow)>,
    /// Message-IDs that the hosts accepted, and how often.
    pub accepted: std::collections::BTreeMap<String, u32>,
    /// What the audit found, at any statement.
    pub violations: Vec<String>,
    /// What the caps let through: microseconds since the epoch, and whom.
    pub grants: Vec<(i64, UserId)>,
    pub statements: usize,
    pub events: usize,
}

/// Runs the day in a runtime of its own, whose time is virtual.
pub fn simulate(scenario: &Scenario) -> Day {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(live(scenario.clone()))
}

async fn live(scenario: Scenario) -> Day {
    let begins = Utc.with_ymd_and_hms(2026, 11, 24, 8, 45, 0).unwrap();
    let machine = VirtualClock::starting_at(begins);
    let clock: Arc<dyn Clock> = Arc::new(machine.clone());
    let entropy = Arc::new(Dice::seeded(scenario.seed));
    let world = MemoryWorld::new(Arc::clone(&clock), SHARDS, 1.2);
    (1..=scenario.mailboxes).for_each(|n| world.enrol(mailbox(n, scenario.quota)));
    let caps = Arc::new(MemoryCaps::new(LIMITS, Arc::clone(&clock)).unwrap());
    let noted = Arc::new(Noted::over(caps.clone(), Arc::clone(&clock)));
    let leases = Arc::new(MemoryLeases::new(Arc::clone(&clock)));
    let mailer = Arc::new(MemoryMailer::new(Arc::clone(&clock), entropy.clone(), scenario.weather));
    let audited =
        Arc::new(Audited { world: world.clone(), violations: Mutex::default(), statements: AtomicUsize::new(0) });
    let ports = Ports {
        clock: Arc::clone(&clock),
        entropy,
        mailboxes: Arc::new(world.clone()),
        ledger: audited.clone(),
        duties: Arc::new(world.clone()),
        caps: noted.clone(),
        leases: leases.clone(),
        mailer: mailer.clone(),
        orders: Arc::new(world.clone()),
        bell: Arc::new(MemoryBell::cast()),
    };
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Worker::new(ports, settings(), Arc::new(Liveness::default())).run(stop.clone()));
    let troubles = scenario.outages.iter().map(|(outage, from, to)| {
        let (clock, world, caps, leases) = (machine.clone(), world.clone(), caps.clone(), leases.clone());
        trouble(
            clock,
            world,
            caps,
            leases,
            *outage,
            begins + TimeDelta::minutes(*from),
            begins + TimeDelta::minutes(*to),
        )
    });
    let troubles: Vec<_> = troubles.map(tokio::spawn).collect();
    clock.sleep_until(begins + TimeDelta::hours(14)).await;
    stop.cancel();
    let report = worker.await.unwrap().unwrap();
    for trouble in troubles {
        trouble.await.unwrap();
    }
    let mut violations = audited.violations.lock().unwrap().clone();
    violations.extend(world.audit());
    Day {
        report,
        days: world.days().into_iter().map(|(mailbox, _, row)| (mailbox, row)).collect(),
        logs: world.logs(),
        replies: world.replies(),
        accepted: mailer.accepted(),
        violations,
        grants: noted.grants(),
        statements: audited.statements.load(Ordering::Relaxed),
        events: world.events().len(),
    }
}

async fn trouble(
    clock: VirtualClock,
    world: MemoryWorld,
    caps: Arc<MemoryCaps>,
    leases: Arc<MemoryLeases>,
    outage: Outage,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) {
    let set = |on: bool| match outage {
        Outage::Ledger(fault) => world.set_fault(on.then_some(fault)),
        Outage::Caps(fault) => caps.set_fault(on.then_some(fault)),
        Outage::Leases(fault) => leases.set_fault(on.then_some(fault)),
        Outage::RedisForgets if on => {
            caps.lose();
            leases.lose();
        }
        Outage::RedisForgets => {}
        Outage::Asleep if on => clock.suspend((to - from).to_std().expect("a suspension ends after it began")),
        Outage::Asleep => {}
    };
    clock.sleep_until(from).await;
    set(true);
    clock.sleep_until(to).await;
    set(false);
}

/// The production defaults.
pub const LIMITS: CapLimits =
    CapLimits { global_hour: 10_000, global_minute: 200, user_hour: 500, user_minute: 50, burst: 0.05 };

pub fn settings() -> WorkerSettings {
    WorkerSettings {
        worker: WorkerId("simulated".into()),
        distributed: false,
        shards: SHARDS,
        max_concurrent: 20,
        batch_size: 100,
        batch_delay: Duration::ZERO,
        stagger_min: Duration::from_secs(1),
        stagger_max: Duration::from_secs(5),
        cooldown_min: Duration::from_secs(180),
        cooldown_max: Duration::from_secs(600),
        reply_delay_min: Duration::from_secs(5 * 60),
        reply_delay_max: Duration::from_secs(240 * 60),
        rate_limit_backoff: Duration::from_secs(10),
        quota_priority_boost: 2.0,
        tick_interval: Duration::from_secs(900),
        tick_spread: Duration::from_secs(600),
        active_hours: "07:00-22:00".parse().unwrap(),
        timezone: chrono_tz::UTC,
        retention: Retention { log_days: 90, metrics_days: 30 },
        lease_ttl: Duration::from_secs(15),
        heartbeat: Duration::from_secs(5),
        mail_deadline: Duration::from_secs(50),
        drain_timeout: Duration::from_secs(60),
    }
}

fn mailbox(n: i64, quota: u16) -> MemoryMailbox {
    MemoryMailbox {
        id: MailboxId(n),
        user: UserId(n % 3),
        email: format!("box{n}@domain{}.test", n % 6),
        display_name: format!("Box {n}"),
        endpoint: Endpoint { host: "mail.test".into(), port: 465, security: Security::Tls },
        schedule: Schedule { zone: chrono_tz::UTC, window: "09:00-17:00".parse().unwrap(), days: Weekdays::ALL },
        ramp: Ramp { start: quota, step: 0, daily_max: quota },
        grown: 0,
        reply_rate: 35,
        enabled: true,
        sending: Standing::Active,
        receiving: Standing::Active,
    }
}

/// The ledger, with every invariant looked at after every statement.
struct Audited {
    world: MemoryWorld,
    violations: Mutex<Vec<String>>,
    statements: AtomicUsize,
}

impl Audited {
    fn look<T>(&self, answer: T) -> T {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.violations.lock().unwrap().extend(self.world.audit());
        answer
    }
}

#[async_trait]
impl Ledger for Audited {
    async fn prepare(&self, now: DateTime<Utc>) -> Result<(), PortError> {
        self.world.prepare(now).await
    }
    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError> {
        self.world.epochs(shards).await
    }
    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError> {
        self.world.raise(worker, read).await
    }
    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError> {
        self.look(self.world.reserve(batch).await)
    }
    async fn release(&self, flights: &[FlightId], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.look(self.world.release(flights, now).await)
    }
    async fn abandon(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.look(self.world.abandon(run, message_ids, now).await)
    }
    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError> {
        self.look(self.world.settle(worker, results).await)
    }
    async fn sweep(&self, sweep: &Sweep) -> Result<Swept, PortError> {
        self.look(self.world.sweep(sweep).await)
    }
}
