//! Plays a scenario: the production worker, as often as the scenario says, on memory adapters under virtual time.

#[path = "stage/life.rs"]
mod life;
#[path = "stage/set_back.rs"]
mod set_back;
#[path = "stage/shards.rs"]
mod shards;
#[path = "stage/traces.rs"]
mod traces;
#[path = "stage/waits.rs"]
mod waits;
#[path = "stage/worker_states.rs"]
mod worker_states;
#[path = "stage/world.rs"]
mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use warmup::{
    adapters::system::SeededRng,
    domain::{
        caps::{HostCaps, MARGIN},
        hosts::{HostLimits, read},
        id::{FleetId, MailboxId, UserId, WorkerId},
        mailbox::{Endpoint, Security},
        maintenance::Retention,
        ramp::Ramp,
        time::{Schedule, Weekdays},
    },
    ports::{Clock, Entropy},
    simulation::{
        MemoryCaps, MemoryDatabase, MemoryLeases, MemoryMailbox, MemoryNotifier, VirtualClock, database::MailboxState,
    },
    worker::{Ports, WorkerSettings},
};

use super::{
    judge::{CheckReport, Checker, Windows},
    kinds::{Fault, Guard},
    post::{Hosts, MailHosts},
    scenario::{Enrolled, HOSTS, Incident, Life, MOVED, Scenario, Theme, What},
    watched::{CheckedPorts, Who},
};
use crate::{
    link::WorkerLink,
    skewed::{ServerClock, Skewed},
    sky::ServiceFaults,
};

pub const SHARDS: u16 = 16;

/// How often all of the record is looked at, besides what each statement touches.
const AUDIT_EVERY_SECONDS: u64 = 10;

/// How far a worker's clock may be off before it takes no shards.
const SKEW_SECONDS: i64 = 30;

/// One worker with so many lanes serves all mailboxes of a scenario as fast as they cool down.
const ENOUGH_LANES: usize = 8;

/// What all workers share.
#[derive(Clone)]
struct Fixture {
    scenario: Arc<Scenario>,
    clock: Arc<dyn Clock>,
    machine: VirtualClock,
    dice: Arc<dyn Entropy>,
    world: MemoryDatabase,
    redis_clock: Arc<ServerClock>,
    leases: Arc<MemoryLeases>,
    caps: Arc<MemoryCaps>,
    bell: Arc<MemoryNotifier>,
    hosts: Arc<Hosts>,
    sky: Arc<ServiceFaults>,
    judge: Arc<Checker>,
}

/// Plays `scenario` in a runtime of its own, whose time is virtual. `aloud` keeps every statement.
pub fn play(scenario: &Scenario, aloud: bool) -> CheckReport {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(live(scenario.clone(), aloud))
}

async fn live(scenario: Scenario, aloud: bool) -> CheckReport {
    let stage = Fixture::of(scenario, aloud);
    stage.note_size();
    stage.judge.operated();
    let mut workers = Vec::new();
    let mut names = BTreeMap::new();
    for life in &stage.scenario.lives {
        let again = names.insert(life.name, life.begins_ms).is_some();
        workers.push(tokio::spawn(stage.clone().work(life.clone(), again)));
    }
    for incident in &stage.scenario.incidents {
        tokio::spawn(stage.clone().befall(incident.clone()));
    }
    tokio::spawn(stage.clone().quiet());
    stage.watch().await;
    for worker in workers {
        worker.await.expect("a worker does not panic");
    }
    stage.judge.verdict()
}

impl Fixture {
    fn of(scenario: Scenario, aloud: bool) -> Fixture {
        let machine = VirtualClock::starting_at(scenario.begins);
        let clock: Arc<dyn Clock> = Arc::new(machine.clone());
        let dice: Arc<dyn Entropy> = Arc::new(SeededRng::seeded(scenario.seed));
        let world = MemoryDatabase::new(Arc::clone(&clock), SHARDS, 1.2);
        scenario.boxes.iter().for_each(|enrolled| world.enrol(mailbox(enrolled)));
        // In the middle of their windows they owe what any day owes.
        world.enrolled_earlier(TimeDelta::days(9));
        scenario.daily_limits.iter().for_each(|(user, limit)| world.limit(UserId(*user), *limit));
        let redis_clock = Arc::new(ServerClock::new(Arc::clone(&clock)));
        let leases = Arc::new(MemoryLeases::new(redis_clock.clone()));
        let limits = HostLimits::with(read(&scenario.host_limits).unwrap());
        let deadline = Duration::from_secs(scenario.tempo.mail_deadline);
        let hosts = HostCaps::of(&limits, scenario.caps.burst, deadline + MARGIN).unwrap();
        let caps = MemoryCaps::new(scenario.caps, redis_clock.clone()).unwrap().with_hosts(hosts);
        let windows = Windows::new(scenario.caps, limits, HOSTS.map(str::to_owned).to_vec());
        let judge = Checker::new(Arc::clone(&clock), world.clone(), Arc::clone(&leases), windows, deadline, aloud);
        let judge = Arc::new(judge);
        let sky = ServiceFaults::clear(Arc::clone(&clock), Arc::clone(&dice)).over(scenario.way_ms, {
            let judge = Arc::clone(&judge);
            move |service, condition| world::felt(&judge, service, condition)
        });
        Fixture {
            scenario: Arc::new(scenario),
            machine,
            dice,
            world,
            redis_clock,
            leases,
            caps: Arc::new(caps),
            bell: Arc::new(MemoryNotifier::cast()),
            hosts: Arc::default(),
            sky: Arc::new(sky),
            judge,
            clock,
        }
    }

    fn at(&self, ms: i64) -> DateTime<Utc> {
        self.scenario.begins + TimeDelta::milliseconds(ms)
    }

    async fn until(&self, ms: i64) {
        self.clock.sleep_until(self.at(ms)).await;
    }

    /// One worker's way to the services.
    fn connect(&self, life: &Life) -> (Arc<Who>, Arc<WorkerLink>, Arc<Skewed>) {
        let is_right = life.ahead_seconds == 0 && life.jumps.is_empty();
        let who = Arc::new(Who::new(life.name, is_right));
        let watched = Arc::new(CheckedPorts {
            who: Arc::clone(&who),
            judge: Arc::clone(&self.judge),
            clock: Arc::clone(&self.clock),
            world: self.world.clone(),
            leases: Arc::clone(&self.leases),
            caps: Arc::clone(&self.caps),
        });
        let post = Arc::new(MailHosts {
            clock: Arc::clone(&self.clock),
            dice: Arc::clone(&self.dice),
            hosts: Arc::clone(&self.hosts),
            judge: Arc::clone(&self.judge),
            deadline: Duration::from_secs(self.scenario.tempo.mail_deadline),
            step_timeout: Duration::from_secs(self.scenario.tempo.step_timeout),
            link: OnceLock::new(),
        });
        let clock = Arc::new(Skewed::new(Arc::clone(&self.clock), TimeDelta::seconds(life.ahead_seconds)));
        let ports = Ports {
            clock: clock.clone(),
            entropy: Arc::clone(&self.dice),
            mailboxes: watched.clone(),
            ledger: watched.clone(),
            duties: watched.clone(),
            caps: watched.clone(),
            leases: watched.clone(),
            members: watched.clone(),
            mailer: post.clone(),
            orders: watched,
            bell: Arc::new(self.bell.another()),
        };
        let judge = Arc::clone(&self.judge);
        let link = WorkerLink::asking(ports, Arc::clone(&self.sky), move |batch| judge.asks(batch));
        post.link.set(Arc::downgrade(&link)).expect("it is set once");
        (who, link, clock)
    }

    fn now_ms(&self) -> i64 {
        (self.clock.now() - self.scenario.begins).num_milliseconds()
    }

    fn settings(&self, life: &Life) -> WorkerSettings {
        let tempo = self.scenario.tempo;
        let seconds = Duration::from_secs;
        WorkerSettings {
            worker: WorkerId(life.name.into()),
            fleet: FleetId::default(),
            host: "simulation".into(),
            distributed: !life.solo,
            shards: life.shards,
            max_concurrent: tempo.lanes,
            batch_size: 100,
            batch_delay: Duration::ZERO,
            stagger_min: Duration::ZERO,
            stagger_max: seconds(1),
            cooldown_min: seconds(tempo.cooldown.0),
            cooldown_max: seconds(tempo.cooldown.1),
            reply_delay_min: seconds(tempo.reply_delay.0),
            reply_delay_max: seconds(tempo.reply_delay.1),
            rate_limit_backoff: seconds(10),
            quota_priority_boost: 2.0,
            tick_interval: seconds(tempo.tick),
            tick_spread: seconds(tempo.spread),
            active_hours: ACTIVE.parse().expect("hours"),
            lease_ttl: seconds(tempo.lease_ttl),
            heartbeat: seconds(tempo.heartbeat),
            mail_deadline: seconds(tempo.mail_deadline),
            drain_timeout: seconds(tempo.drain),
            timezone: chrono_tz::UTC,
            retention: Retention { log_days: 90, metrics_days: 30 },
        }
    }
}

const ACTIVE: &str = "07:00-22:00";

fn mailbox(enrolled: &Enrolled) -> MemoryMailbox {
    let Enrolled { id, user, domain, host, zone, start, step, most, grown, reply_rate } = *enrolled;
    MemoryMailbox {
        id: MailboxId(id),
        user: UserId(user),
        email: format!("box{id}@domain{domain}.test"),
        display_name: format!("Box {id}"),
        endpoint: Endpoint { host: host.into(), port: 465, security: Security::Tls },
        schedule: Schedule { zone, window: "09:00-17:00".parse().expect("hours"), days: Weekdays::ALL },
        ramp: Ramp { start, step, daily_max: most },
        grown,
        reply_rate,
        enabled: true,
        sending: MailboxState::Active,
        receiving: MailboxState::Active,
    }
}
