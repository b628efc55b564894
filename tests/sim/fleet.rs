//! A simulated day: workers on memory adapters that are audited after every statement, a weather, and what befalls them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::system::SeededRng,
    domain::{
        caps::CapLimits,
        id::{Epoch, FleetId, FlightId, MailboxId, ReplyId, RunId, ShardId, UserId, WorkerId},
        mailbox::{Endpoint, Security},
        maintenance::Retention,
        ramp::Ramp,
        shard::all_shards,
        time::{Schedule, Weekdays},
    },
    observe::liveness::Liveness,
    ports::{Clock, Entropy, LeaseKey, Ledger},
    simulation::{
        FaultRates, MemoryCaps, MemoryDatabase, MemoryLeases, MemoryMailbox, MemoryMailer, MemoryNotifier,
        VirtualClock,
        database::{DayRow, LogRow, MailboxState, ReplyRow},
    },
    worker::{DrainReport, MembershipError, Ports, Worker, WorkerSettings},
};

use crate::{
    audited::Audited,
    grants::Noted,
    jumping::Jumping,
    link::{State, WorkerLink},
    skewed::Skewed,
    sky::ServiceFaults,
    trouble::{Outage, trouble},
};

pub const SHARDS: u16 = 16;

/// What is simulated. All times are seconds from the beginning.
#[derive(Clone)]
pub struct Scenario {
    pub seed: u64,
    pub mailboxes: i64,
    pub quota: u16,
    pub weather: FaultRates,
    pub pace: Pace,
    pub workers: Vec<Life>,
    /// What fails for all, from when to when.
    pub outages: Vec<(Outage, i64, i64)>,
    /// What an operator does, and when.
    pub orders: Vec<(i64, Order)>,
}

/// An operator's change of the enrolled mailboxes.
pub type Order = fn(&MemoryDatabase);

/// How fast a scenario goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A day from 08:45 on, with the production's defaults.
    Day,
    /// From 20:00 on, when all of the quota is owed: every mailbox sends every few seconds, for so many seconds.
    Busy(i64),
}

/// One worker's life.
#[derive(Clone, Debug)]
pub struct Life {
    /// `WARMUP_WORKER_ID`; `None` works alone.
    pub name: Option<&'static str>,
    pub begins: i64,
    /// SIGTERM; at the latest at the end of the scenario.
    pub stops: Option<i64>,
    /// What befalls its connection, and when it is over.
    pub troubles: Vec<(State, i64, i64)>,
    /// `WARMUP_SHARDS`.
    pub shards: u16,
    /// How far its machine's clock is ahead of the fleet's; `None` lets it use the fleet's.
    pub clock_ahead: Option<i64>,
    /// From when to when its machine's day clock is ahead, and by how much.
    pub jump: Option<(i64, i64, i64)>,
}

impl Life {
    pub fn alone() -> Life {
        Life { name: None, begins: 0, stops: None, troubles: Vec::new(), shards: SHARDS, clock_ahead: None, jump: None }
    }

    pub fn of(name: &'static str, begins: i64) -> Life {
        Life { name: Some(name), begins, ..Life::alone() }
    }

    pub fn stops(self, at: i64) -> Life {
        Life { stops: Some(at), ..self }
    }

    pub fn jumps(self, from: i64, to: i64, ahead: i64) -> Life {
        Life { jump: Some((from, to, ahead)), ..self }
    }

    pub fn killed(self, at: i64) -> Life {
        self.suffers(State::Dead, at, at)
    }

    pub fn suffers(mut self, state: State, from: i64, to: i64) -> Life {
        self.troubles.push((state, from, to));
        self
    }
}

/// What a day came to.
#[derive(Debug)]
pub struct Day {
    pub begins: DateTime<Utc>,
    /// How each worker ended; `None` of one that was killed.
    pub ends: Vec<Option<Result<DrainReport, MembershipError>>>,
    pub days: Vec<(MailboxId, DayRow)>,
    /// Dates whose duties were begun.
    pub duties: Vec<NaiveDate>,
    pub logs: Vec<(FlightId, LogRow)>,
    pub replies: Vec<(ReplyId, ReplyRow)>,
    /// Message-IDs that the hosts accepted, and how often.
    pub accepted: BTreeMap<String, u32>,
    /// What the audit found, at any statement.
    pub violations: Vec<String>,
    /// What the caps let through: microseconds since the epoch, and whom.
    pub grants: Vec<(i64, UserId)>,
    pub statements: usize,
    pub events: usize,
    /// Message-IDs of what is not settled at the end, with who sends it.
    pub in_flight: BTreeMap<String, MailboxId>,
    /// When a mail of which shard was reserved by whom.
    pub reserved: Vec<(DateTime<Utc>, ShardId, WorkerId)>,
    /// Who had what, second by second.
    pub seconds: Vec<Second>,
}

/// The fleet at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Second {
    pub owners: BTreeMap<ShardId, RunId>,
    /// How often a shard has been acquired so far.
    pub acquired: i64,
}

impl Second {
    /// How many shards each worker has that has any, ascending.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts: BTreeMap<RunId, usize> = BTreeMap::new();
        self.owners.values().for_each(|run| *counts.entry(*run).or_default() += 1);
        let mut counts: Vec<usize> = counts.into_values().collect();
        counts.sort_unstable();
        counts
    }
}

/// What all workers share.
#[derive(Clone)]
pub struct Services {
    pub clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pub world: MemoryDatabase,
    pub ledger: Arc<Audited>,
    pub caps: Arc<MemoryCaps>,
    /// The same caps, with every grant noted.
    noted: Arc<Noted>,
    bell: Arc<MemoryNotifier>,
    /// The clock that can be suspended.
    pub machine: VirtualClock,
    pub leases: Arc<MemoryLeases>,
    mailer: Arc<MemoryMailer>,
    /// The weather over all links.
    pub sky: Arc<ServiceFaults>,
}

impl Services {
    /// One worker's way to them.
    fn link(&self) -> Arc<WorkerLink> {
        let ports = Ports {
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            mailboxes: Arc::new(self.world.clone()),
            ledger: self.ledger.clone(),
            duties: Arc::new(self.world.clone()),
            caps: self.noted.clone(),
            leases: self.leases.clone(),
            members: self.leases.clone(),
            mailer: self.mailer.clone(),
            orders: Arc::new(self.world.clone()),
            bell: Arc::new(self.bell.another()),
        };
        WorkerLink::to(ports, Arc::clone(&self.sky))
    }
}

/// Runs the day in a runtime of its own, whose time is virtual.
pub fn simulate(scenario: &Scenario) -> Day {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(live(scenario.clone()))
}

async fn live(scenario: Scenario) -> Day {
    let (hour, minute, lasts) = match scenario.pace {
        Pace::Day => (8, 45, 14 * 3_600),
        Pace::Busy(seconds) => (20, 0, seconds),
    };
    let begins = Utc.with_ymd_and_hms(2026, 11, 24, hour, minute, 0).unwrap();
    let services = services(&scenario, begins);
    let workers: Vec<_> = scenario
        .workers
        .iter()
        .map(|life| tokio::spawn(work(services.clone(), life.clone(), scenario.pace, begins, lasts)))
        .collect();
    let troubles: Vec<_> = scenario
        .outages
        .iter()
        .map(|(outage, from, to)| {
            tokio::spawn(trouble(services.clone(), *outage, after(begins, *from), after(begins, *to)))
        })
        .collect();
    for (at, order) in scenario.orders.clone() {
        let services = services.clone();
        tokio::spawn(async move {
            services.clock.sleep_until(after(begins, at)).await;
            order(&services.world);
        });
    }
    let seconds = watch(&services, begins, if scenario.pace == Pace::Day { 0 } else { lasts }).await;
    services.clock.sleep_until(after(begins, lasts)).await;
    let mut ends = Vec::new();
    for worker in workers {
        ends.push(worker.await.unwrap());
    }
    for trouble in troubles {
        trouble.await.unwrap();
    }
    let Services { world, ledger, mailer, noted, .. } = services;
    Day {
        begins,
        ends,
        days: world.days().into_iter().map(|(mailbox, _, row)| (mailbox, row)).collect(),
        duties: world.cleanups().into_keys().collect(),
        logs: world.logs(),
        replies: world.replies(),
        accepted: mailer.accepted(),
        violations: [ledger.violations(), world.audit()].concat(),
        grants: noted.grants(),
        statements: ledger.statements(),
        events: world.events().len(),
        in_flight: world.on_their_way(),
        reserved: ledger.reserved(),
        seconds,
    }
}

fn after(begins: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    begins + TimeDelta::seconds(seconds)
}

fn services(scenario: &Scenario, begins: DateTime<Utc>) -> Services {
    let machine = VirtualClock::starting_at(begins);
    let clock: Arc<dyn Clock> = Arc::new(machine.clone());
    let entropy = Arc::new(SeededRng::seeded(scenario.seed));
    let world = MemoryDatabase::new(Arc::clone(&clock), SHARDS, 1.2);
    (1..=scenario.mailboxes).for_each(|n| world.enrol(mailbox(n, scenario.quota)));
    let limits = if scenario.pace == Pace::Day { LIMITS } else { WIDE };
    let caps = Arc::new(MemoryCaps::new(limits, Arc::clone(&clock)).unwrap());
    Services {
        noted: Arc::new(Noted::over(caps.clone(), Arc::clone(&clock))),
        caps,
        bell: Arc::new(MemoryNotifier::cast()),
        machine,
        leases: Arc::new(MemoryLeases::new(Arc::clone(&clock))),
        mailer: Arc::new(MemoryMailer::new(Arc::clone(&clock), entropy.clone(), scenario.weather)),
        ledger: Arc::new(Audited::new(world.clone(), Arc::clone(&clock))),
        sky: Arc::new(ServiceFaults::clear(Arc::clone(&clock), entropy.clone())),
        clock,
        entropy,
        world,
    }
}

/// Lives a worker's life.
async fn work(
    services: Services,
    life: Life,
    pace: Pace,
    begins: DateTime<Utc>,
    lasts: i64,
) -> Option<Result<DrainReport, MembershipError>> {
    let clock = Arc::clone(&services.clock);
    clock.sleep_until(after(begins, life.begins)).await;
    let (link, stop) = (services.link(), CancellationToken::new());
    let mut ports = link.ports();
    if let Some(ahead) = life.clock_ahead {
        ports.clock = Arc::new(Skewed::new(Arc::clone(&clock), TimeDelta::seconds(ahead)));
    }
    if let Some((from, to, ahead)) = life.jump {
        let jumping = Arc::new(Jumping::new(Arc::clone(&clock)));
        ports.clock = jumping.clone();
        let right = Arc::clone(&clock);
        tokio::spawn(async move {
            right.sleep_until(after(begins, from)).await;
            jumping.set_ahead(TimeDelta::seconds(ahead));
            right.sleep_until(after(begins, to)).await;
            jumping.set_ahead(TimeDelta::zero());
        });
    }
    let worker = Worker::new(ports, settings_of(&life, pace), Arc::new(Liveness::default()));
    let worker = tokio::spawn(worker.run(stop.clone()));
    for (state, from, to) in &life.troubles {
        clock.sleep_until(after(begins, *from)).await;
        link.set(*state);
        if *state == State::Dead {
            worker.abort();
            return None;
        }
        clock.sleep_until(after(begins, *to)).await;
        link.set(State::Whole);
    }
    clock.sleep_until(after(begins, life.stops.unwrap_or(lasts))).await;
    stop.cancel();
    Some(worker.await.unwrap())
}

/// Looks at who has what at every second.
async fn watch(services: &Services, begins: DateTime<Utc>, lasts: i64) -> Vec<Second> {
    let mut seconds = Vec::new();
    for second in 0..lasts {
        services.clock.sleep_until(after(begins, second)).await;
        let shard = |(key, run)| match key {
            LeaseKey::Shard(shard) => Some((shard, run)),
            _ => None,
        };
        let owners = services.leases.holders().into_iter().filter_map(shard).collect();
        let acquired = match services.ledger.epochs(&all_shards(SHARDS)).await {
            Ok(epochs) => epochs.into_iter().map(|Epoch(epoch)| epoch).sum(),
            Err(_) => -1,
        };
        seconds.push(Second { owners, acquired });
    }
    seconds
}

/// The production defaults.
pub const LIMITS: CapLimits =
    CapLimits { global_hour: 10_000, global_minute: 200, user_hour: 500, user_minute: 50, burst: 0.05 };

/// Caps that never hold anything up.
const WIDE: CapLimits = CapLimits {
    global_hour: 1_000_000,
    global_minute: 100_000,
    user_hour: 1_000_000,
    user_minute: 100_000,
    burst: 0.05,
};

/// The production defaults of a worker that works alone.
pub fn settings() -> WorkerSettings {
    settings_of(&Life::alone(), Pace::Day)
}

fn settings_of(life: &Life, pace: Pace) -> WorkerSettings {
    let seconds = |day: u64, busy: u64| Duration::from_secs(if pace == Pace::Day { day } else { busy });
    WorkerSettings {
        worker: WorkerId(life.name.unwrap_or("simulated").into()),
        fleet: FleetId("simulated".into()),
        host: "simulation".into(),
        distributed: life.name.is_some(),
        shards: life.shards,
        max_concurrent: 20,
        batch_size: 100,
        batch_delay: Duration::ZERO,
        stagger_min: seconds(1, 0),
        stagger_max: seconds(5, 1),
        cooldown_min: seconds(180, 2),
        cooldown_max: seconds(600, 4),
        reply_delay_min: Duration::from_secs(5 * 60),
        reply_delay_max: Duration::from_secs(240 * 60),
        rate_limit_backoff: Duration::from_secs(10),
        quota_priority_boost: 2.0,
        tick_interval: Duration::from_secs(900),
        tick_spread: seconds(600, 0),
        active_hours: "07:00-22:00".parse().unwrap(),
        lease_ttl: Duration::from_secs(15),
        heartbeat: Duration::from_secs(5),
        mail_deadline: Duration::from_secs(50),
        drain_timeout: Duration::from_secs(60),
        timezone: chrono_tz::UTC,
        retention: Retention { log_days: 90, metrics_days: 30 },
    }
}

pub fn mailbox(n: i64, quota: u16) -> MemoryMailbox {
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
        sending: MailboxState::Active,
        receiving: MailboxState::Active,
    }
}
