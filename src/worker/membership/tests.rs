use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use uuid::Uuid;

use super::*;
use crate::{
    adapters::system::SeededRng,
    domain::{
        caps::CapLimits,
        id::{FleetId, WorkerId},
        maintenance::Retention,
        shard::all_shards,
    },
    ports::{Clock, Leases, MembershipStore},
    simulation::{
        Fault, FaultRates, MemoryCaps, MemoryDatabase, MemoryLeases, MemoryMailer, MemoryNotifier, VirtualClock,
    },
};

const SHARDS: u16 = 16;
const TTL: Duration = Duration::from_secs(15);

/// Leases that can't be released while `stuck` is set.
struct Sticky {
    leases: Arc<MemoryLeases>,
    stuck: AtomicBool,
}

#[async_trait]
impl Leases for Sticky {
    async fn acquire(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.leases.acquire(owner, keys, ttl).await
    }

    async fn renew(&self, owner: RunId, keys: &[LeaseKey], ttl: Duration) -> Result<Vec<bool>, PortError> {
        self.leases.renew(owner, keys, ttl).await
    }

    async fn release(&self, owner: RunId, keys: &[LeaseKey]) -> Result<(), PortError> {
        if self.stuck.load(Ordering::Relaxed) {
            return Err(PortError::Unavailable("stuck".into()));
        }
        self.leases.release(owner, keys).await
    }

    async fn skew(&self, now: i64) -> Result<i64, PortError> {
        self.leases.skew(now).await
    }
}

struct Stage {
    clock: Arc<VirtualClock>,
    leases: Arc<MemoryLeases>,
    sticky: Arc<Sticky>,
    world: Arc<MemoryDatabase>,
    keeper: Membership,
}

impl Stage {
    /// Returns a worker in solo mode that has its exclusive lease and no shard yet.
    async fn set() -> Stage {
        let clock = Arc::new(VirtualClock::starting_at(chrono::DateTime::UNIX_EPOCH));
        let leases = Arc::new(MemoryLeases::new(clock.clone()));
        let sticky = Arc::new(Sticky { leases: leases.clone(), stuck: AtomicBool::new(false) });
        let world = Arc::new(MemoryDatabase::new(clock.clone(), SHARDS, 1.2));
        let ports = ports(clock.clone(), Arc::clone(&world), leases.clone(), sticky.clone());
        let watch = Arc::new(ClockWatch::new(clock.clone()));
        let (holdings, settings) = (Arc::new(OwnedShards::new(clock.clone())), Arc::new(settings()));
        let keeper = Membership::new(ports, settings, stranger(), holdings, Arc::default(), Arc::default(), watch);
        assert!(keeper.acquire_exclusive(&CancellationToken::new()).await.unwrap());
        Stage { clock, leases, sticky, world, keeper }
    }

    /// Returns that worker after three heartbeats, with all shards.
    async fn at_work() -> Stage {
        let mut stage = Stage::set().await;
        for _ in 0..3 {
            stage.keeper.heartbeat(false).await.unwrap();
            stage.clock.sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(stage.epochs(), vec![Epoch(1); usize::from(SHARDS)]);
        stage
    }

    /// Sleeps until the run is not a member; the exclusive lease stays.
    async fn sleep(&self) {
        self.leases.renew(self.keeper.run, &[LeaseKey::Solo], TTL * 2).await.unwrap();
        self.clock.sleep(TTL).await;
    }

    fn epochs(&self) -> Vec<Epoch> {
        self.keeper.holdings.all().into_iter().map(|(_, epoch)| epoch).collect()
    }

    /// Returns the number of leases on shards that bind other runs.
    fn leased(&self) -> usize {
        self.leases.holders().keys().filter(|key| matches!(key, LeaseKey::Shard(_))).count()
    }
}

fn stranger() -> RunId {
    RunId(Uuid::now_v7())
}

fn ports(
    clock: Arc<dyn Clock>,
    world: Arc<MemoryDatabase>,
    members: Arc<MemoryLeases>,
    leases: Arc<dyn Leases>,
) -> Ports {
    let entropy = Arc::new(SeededRng::seeded(1));
    let limits = CapLimits { global_hour: 1, global_minute: 1, user_hour: 1, user_minute: 1, burst: 1.0 };
    Ports {
        entropy: entropy.clone(),
        mailboxes: world.clone(),
        ledger: world.clone(),
        duties: world.clone(),
        orders: world,
        caps: Arc::new(MemoryCaps::new(limits, Arc::clone(&clock)).unwrap()),
        leases,
        members,
        mailer: Arc::new(MemoryMailer::new(Arc::clone(&clock), entropy, FaultRates::default())),
        bell: Arc::new(MemoryNotifier::cast()),
        clock,
    }
}

fn settings() -> WorkerSettings {
    let second = Duration::from_secs(1);
    WorkerSettings {
        worker: WorkerId("kept".into()),
        fleet: FleetId("ours".into()),
        host: "here".into(),
        distributed: false,
        shards: SHARDS,
        max_concurrent: 1,
        batch_size: 1,
        batch_delay: Duration::ZERO,
        stagger_min: second,
        stagger_max: second,
        cooldown_min: second,
        cooldown_max: second,
        reply_delay_min: second,
        reply_delay_max: second,
        rate_limit_backoff: second,
        quota_priority_boost: 2.0,
        tick_interval: second,
        tick_spread: second,
        active_hours: "07:00-22:00".parse().unwrap(),
        lease_ttl: TTL,
        heartbeat: TTL / 3,
        mail_deadline: second,
        drain_timeout: second,
        timezone: chrono_tz::UTC,
        retention: Retention { log_days: 90, metrics_days: 30 },
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_no_member_has_lost_all_whatever_its_leases_say() {
    let mut stage = Stage::at_work().await;
    stage.sleep().await;
    let keys: Vec<LeaseKey> = all_shards(SHARDS).into_iter().map(LeaseKey::Shard).chain([LeaseKey::Solo]).collect();
    let named = stage.leases.renew(stage.keeper.run, &keys, TTL).await.unwrap();
    assert!(named.iter().all(|named| *named));

    stage.keeper.heartbeat(false).await.unwrap();

    assert_eq!(stage.epochs(), vec![Epoch(2); usize::from(SHARDS)], "each was taken anew");
}

#[tokio::test(start_paused = true)]
async fn after_a_heartbeat_that_was_not_heard_every_lease_is_looked_at() {
    let mut stage = Stage::at_work().await;
    stage.sleep().await;
    let (other, taken) = (stranger(), all_shards(SHARDS));
    stage.leases.heartbeat(other, &MemberStatus::default(), LeaseKey::Name(1), &[], TTL).await.unwrap();
    assert_eq!(stage.leases.claim(other, &taken, TTL).await.unwrap(), vec![true; usize::from(SHARDS)]);
    stage.leases.set_fault(Some(Fault::AnswerLost));
    stage.keeper.heartbeat(false).await.unwrap_err();
    stage.leases.set_fault(None);

    let beaten = stage.keeper.heartbeat(false).await;

    assert!(stage.keeper.holdings.owned().is_empty(), "{beaten:?}: it trusts in what another one claimed");
}

#[tokio::test(start_paused = true)]
async fn what_a_living_worker_drops_is_given_back_however_often_that_fails() {
    let mut stage = Stage::at_work().await;
    let (run, seat) = (stage.keeper.run, [LeaseKey::Solo]);
    stage.leases.release(run, &seat).await.unwrap();
    stage.leases.acquire(stranger(), &seat, TTL * 9).await.unwrap();
    stage.sticky.stuck.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        stage.keeper.heartbeat(false).await.unwrap_err();
        assert_eq!((stage.epochs().len(), stage.leased()), (0, usize::from(SHARDS)), "its seat is another's");
    }
    stage.sticky.stuck.store(false, Ordering::Relaxed);

    let refused = stage.keeper.heartbeat(false).await;

    assert!(matches!(refused, Err(PortError::Lost(_))), "{refused:?}");
    assert_eq!(stage.leased(), 0, "they keep others out as long as it lives");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_can_not_write_ends_its_membership_and_tells_of_it_once() {
    let mut stage = Stage::at_work().await;
    let liveness = Liveness::default();
    stage.world.set_read_only(true);
    for _ in 0..4 {
        let error = stage.keeper.heartbeat(false).await.unwrap_err();
        stage.keeper.heartbeat_failed(&error, &liveness);
        stage.clock.sleep(TTL / 3).await;
    }
    assert!(stage.leases.members().await.unwrap().is_empty() && stage.keeper.holdings.owned().is_empty());
    let why = liveness.unready(stage.clock.machine(), TTL).unwrap();
    assert!(why.contains("Postgres refuses writes"), "{why}");

    stage.world.set_read_only(false);
    for _ in 0..2 {
        stage.keeper.heartbeat(false).await.unwrap();
    }

    assert_eq!(stage.epochs(), vec![Epoch(2); usize::from(SHARDS)], "each was taken anew");
    let told: Vec<String> = stage.world.events().into_iter().map(|event| event.kind).collect();
    assert_eq!(told, ["writes-refused"]);
}

#[tokio::test(start_paused = true)]
async fn the_trust_in_a_new_lease_ends_with_the_membership() {
    let mut stage = Stage::set().await;
    let status = stage.keeper.status(false, true, "running");
    let (_, trust) = stage.keeper.renew(status, "running").await.unwrap();
    stage.clock.sleep(TTL - Duration::from_secs(1)).await;
    assert_eq!(stage.keeper.acquire(all_shards(SHARDS).into_iter().collect(), trust).await.unwrap(), 16);
    assert_eq!(stage.keeper.holdings.owned().len(), 16);
    stage.clock.sleep(Duration::from_secs(1)).await;
    assert!(stage.keeper.holdings.owned().is_empty());
    assert_eq!(stage.leases.claim(stranger(), &all_shards(SHARDS), TTL).await.unwrap(), [true; 16]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_in_whose_place_another_runs_leaves_its_share_to_the_others_until_the_place_is_free() {
    let mut stage = Stage::at_work().await;
    stage.leases.lose();
    stage.leases.acquire(stranger(), &[LeaseKey::Solo], TTL).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(stage.keeper.heartbeat(false).await, Err(PortError::Lost(_))));
    }
    let says = |members: Vec<Member>| {
        members.into_iter().map(|m| (m.status.state, m.status.accepts_shards)).collect::<Vec<_>>()
    };
    assert_eq!(says(stage.leases.members().await.unwrap()), [("replaced".to_owned(), false)]);
    stage.clock.sleep(TTL).await;
    for _ in 0..2 {
        stage.keeper.heartbeat(false).await.unwrap();
    }
    assert_eq!(says(stage.leases.members().await.unwrap()), [("running".to_owned(), true)]);
}
