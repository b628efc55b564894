//! A fleet to be broken: four workers, each with ways of its own to Redis and to Postgres, and a mail host that takes its
//! time. The verbs break and heal; `assert_whole` (`whole.rs`) ends it.
//!
//! Lease and heartbeat have their defaults, because what is promised is promised for them. The caps are so low that they
//! always bind, so a world's load is the same whatever breaks in it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use tokio::sync::watch;
use warmup::local::servers::{Durability, PrivatePostgres};
use warmup_support::{
    wire::{Fault, Wire, port_of},
    world::{TestDatabase, TestRedis, eventually, postgres, redis},
};

use super::{grants::Grants, record, whole::Watch};
use crate::{
    host::Host,
    process::{Fleet, Running, late_zone},
};

pub const WORKERS: usize = 4;
pub const LANES: usize = 2;
pub const GLOBAL_MINUTE: u32 = 300;
pub const USER_MINUTE: u32 = 200;

/// The default of WARMUP_LEASE_TTL_MS.
pub const LEASE_TTL: Duration = Duration::from_secs(15);

/// How soon after the healing every shard sends again: the lease and two heartbeats.
pub const PROMISED: Duration = Duration::from_secs(25);

/// Far longer than what is not promised takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

const MAILBOXES: usize = 96;

/// Mailboxes take turns, so a shard that has few among many would be silent for long when nothing is wrong. And a mailbox
/// whose mail a dead worker had on its way rests until that is swept: so each shard has one more than a worker has lanes.
const THREE_A_SHARD: &str = "
    UPDATE mailboxes SET enabled = false WHERE id IN (
        SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY shard ORDER BY id) AS nth FROM mailboxes) AS counted
        WHERE nth > 3)";

/// The neediest go first, so a shard that got ahead is silent until the others have caught up. With rests about as long as a
/// mailbox's turn takes under these caps nobody gets far ahead, and the caps still say no.
const SETTINGS: [(&str, &str); 15] = [
    ("WARMUP_DISTRIBUTED_MODE", "true"),
    ("WARMUP_SHARDS", "16"),
    ("WARMUP_MAX_CONCURRENT", "2"),
    ("WARMUP_STAGGER_MIN_MS", "500"),
    ("WARMUP_STAGGER_MAX_MS", "700"),
    ("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "8000"),
    ("WARMUP_MAILBOX_COOLDOWN_MAX_MS", "10000"),
    ("WARMUP_GLOBAL_MINUTE_LIMIT", "300"),
    ("WARMUP_USER_MINUTE_LIMIT", "200"),
    ("WARMUP_RATE_LIMIT_BACKOFF_MS", "1000"),
    ("WARMUP_LEASE_TTL_MS", "15000"),
    ("WARMUP_HEARTBEAT_MS", "5000"),
    ("WARMUP_SMTP_TIMEOUT_MS", "4000"),
    ("WARMUP_DRAIN_TIMEOUT_MS", "6000"),
    ("WARMUP_DB_POOL", "5"),
];

/// Long enough that each lane has a mail on its way for half of the time.
const HOST_THINKS: Duration = Duration::from_millis(300);

/// One worker and its ways.
pub struct Worker {
    pub name: String,
    pub running: Running,
    pub to_redis: Wire,
    pub to_postgres: Wire,
}

/// Where the ledger is: in the cluster of all tests, or in one that may be killed.
enum Ledger {
    Shared(TestDatabase),
    Own { server: Box<PrivatePostgres>, pool: PgPool, _folder: TempDir },
}

pub struct World {
    pub redis: TestRedis,
    pub host: Host,
    pub workers: Vec<Worker>,
    pub grants: Grants,
    pub watch: Watch,
    /// Workers that were hurt: what each had on its way may end as uncertain.
    pub touched: BTreeSet<String>,
    /// What workers are started by, and orders given.
    pub fleet: Fleet,
    ledger: Ledger,
    shards: BTreeSet<i32>,
    started: usize,
}

impl World {
    /// Four workers that send from every shard.
    pub async fn at_work() -> World {
        World::at_work_by(env!("CARGO_BIN_EXE_warmup"), postgres().await).await
    }

    /// The same by any release's binary, over a database that this binary is to migrate.
    pub async fn at_work_by(program: &str, database: TestDatabase) -> World {
        World::over(program, Ledger::Shared(database)).await
    }

    /// The same over a Postgres of its own, whose data survives a kill.
    pub async fn at_work_on_a_postgres_of_its_own() -> World {
        let folder = TempDir::new().unwrap();
        let server = PrivatePostgres::start(folder.path(), Durability::Durable).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(5).connect_lazy(server.url()).unwrap();
        let ours = env!("CARGO_BIN_EXE_warmup");
        World::over(ours, Ledger::Own { server: Box::new(server), pool, _folder: folder }).await
    }

    async fn over(program: &str, ledger: Ledger) -> World {
        let (redis, host) = (redis().await, Host::that_thinks(HOST_THINKS).await);
        let fleet = Fleet::of(program, ledger.url(), &redis, &mailboxes(host.port()), &SETTINGS).await;
        let pool = ledger.pool().clone();
        record::keep(&pool).await;
        sqlx::query(THREE_A_SHARD).execute(&pool).await.unwrap();
        let mut world = World {
            grants: Grants::of(&redis.url()),
            watch: Watch::over(pool.clone()),
            shards: record::inhabited(&pool).await,
            touched: BTreeSet::new(),
            workers: Vec::new(),
            started: 0,
            redis,
            host,
            fleet,
            ledger,
        };
        for _ in 0..WORKERS {
            world.newcomer().await;
        }
        world.share_evenly().await;
        world.all_shards_send(now(), PATIENCE).await;
        world
    }

    pub fn pool(&self) -> &PgPool {
        self.ledger.pool()
    }

    pub fn database_url(&self) -> &str {
        self.ledger.url()
    }

    /// Starts one more worker, and returns its name.
    pub async fn newcomer(&mut self) -> String {
        let database_url = self.database_url().to_owned();
        self.newcomer_by(&database_url).await
    }

    /// The same for one that comes to Postgres by this address, and on by a way of its own.
    pub async fn newcomer_by(&mut self, database_url: &str) -> String {
        self.started += 1;
        let name = format!("worker-{}", self.started);
        let redis_url = self.redis.url();
        let (to_redis, to_postgres) = (Wire::to(port_of(&redis_url)).await, Wire::to(port_of(database_url)).await);
        let mut fleet = self.fleet.clone();
        fleet.set("WARMUP_WORKER_ID", &name);
        fleet.set("REDIS_URL", &to_redis.url(&redis_url));
        fleet.set("DATABASE_URL", &to_postgres.url(database_url));
        self.workers.push(Worker { name: name.clone(), running: fleet.start(), to_redis, to_postgres });
        name
    }

    /// Runs `warmup fleet …`, which must end well.
    pub async fn order(&self, args: &[&str]) {
        let (done, said) = self.fleet.order(&[&["fleet"], args].concat()).await;
        assert!(done, "warmup fleet {args:?}: {said}");
    }

    pub fn worker(&self, name: &str) -> &Worker {
        self.workers.iter().find(|worker| worker.name == name).unwrap()
    }

    /// SIGKILL, while it has mails on their way.
    pub async fn kill(&mut self, name: &str) {
        self.busy(name).await;
        self.kill_at_once(name).await;
    }

    /// SIGKILL.
    pub async fn kill_at_once(&mut self, name: &str) {
        self.touched.insert(name.to_owned());
        self.take(name).running.kill().await;
    }

    /// SIGTERM; it must end well by itself.
    pub async fn stop(&mut self, name: &str) {
        self.take(name).running.stop().await;
    }

    /// SIGSTOP, while it has mails on their way.
    pub async fn freeze(&mut self, name: &str) {
        self.busy(name).await;
        self.touched.insert(name.to_owned());
        self.worker(name).running.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self, name: &str) {
        self.worker(name).running.signal(Signal::CONT);
    }

    /// Cuts a worker off from Redis.
    pub fn cut_from_redis(&mut self, name: &str, fault: Fault) {
        self.touched.insert(name.to_owned());
        self.worker(name).to_redis.cut(fault);
    }

    /// Cuts a worker off from Postgres.
    pub fn cut_from_postgres(&mut self, name: &str, fault: Fault) {
        self.touched.insert(name.to_owned());
        self.worker(name).to_postgres.cut(fault);
    }

    pub fn heal(&self, name: &str) {
        self.worker(name).to_redis.heal();
        self.worker(name).to_postgres.heal();
    }

    /// Stops Redis in the middle of whatever it does, or lets it go on.
    pub fn signal_redis(&self, signal: Signal) {
        let pid = std::fs::read_to_string(self.redis.folder().join("pid")).unwrap();
        kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), signal).unwrap();
    }

    /// Kills Redis and starts it again, with nothing in it.
    pub async fn empty_redis(&mut self) {
        self.redis.halt().await;
        self.redis.start_again().await.unwrap();
    }

    /// Kills Postgres' first process.
    pub async fn kill_postgres(&mut self) {
        self.all_touched();
        let Ledger::Own { server, .. } = &mut self.ledger else { panic!("other tests work on this Postgres") };
        server.halt().await;
    }

    pub async fn start_postgres_again(&mut self) {
        let Ledger::Own { server, .. } = &mut self.ledger else { panic!("other tests work on this Postgres") };
        server.start_again().await.unwrap();
    }

    pub fn all_touched(&mut self) {
        self.touched.extend(self.workers.iter().map(|worker| worker.name.clone()));
    }

    /// Waits until every shard that has mailboxes has sent a mail since `healed`.
    pub async fn send_again_as_promised(&self, healed: Instant) {
        self.all_shards_send(healed, PROMISED.saturating_sub(healed.elapsed())).await;
        println!("{}: every shard sent within {:?} of the healing", thread(), healed.elapsed());
    }

    async fn all_shards_send(&self, since: Instant, within: Duration) {
        let sent = async || {
            while self.silent_since(since).await.is_none_or(|silent| !silent.is_empty()) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(within, sent()).await.is_err() {
            let silent = self.silent_since(since).await;
            panic!("shards {silent:?} have not sent since {:?}: {}", since.elapsed(), self.told().await);
        }
    }

    /// The shards of which nothing has arrived since then; none is known while Postgres does not answer.
    async fn silent_since(&self, since: Instant) -> Option<BTreeSet<i32>> {
        let shards = record::shards_of_mails(self.pool()).await.ok()?;
        let journal = self.host.journal();
        let arrived = journal.iter().filter(|(at, _)| *at > since).filter_map(|(_, id)| shards.get(id)).copied();
        Some(&self.shards - &arrived.collect())
    }

    /// Waits until all shards are held and no worker holds more than its share.
    pub async fn share_evenly(&self) {
        let workers = self.workers.len();
        let (least, most) = (16 / workers, 16usize.div_ceil(workers));
        let even = async || {
            let holders = self.holders().await;
            holders.len() == workers
                && holders.values().sum::<usize>() == 16
                && holders.values().all(|held| (least..=most).contains(held))
        };
        let shared = tokio::time::timeout(PATIENCE, async {
            while !even().await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(shared.await.is_ok(), "the shards are not shared: {:?}: {}", self.holders().await, self.told().await);
    }

    /// How many shards each worker leases.
    pub async fn holders(&self) -> std::collections::BTreeMap<String, usize> {
        let mut holders = std::collections::BTreeMap::new();
        for run in self.leases("*:lease:shard:*").await {
            *holders.entry(self.name_of(&run)).or_default() += 1;
        }
        holders
    }

    /// Waits until a worker leads, and returns its name.
    pub async fn leader(&self) -> String {
        let (known, leader) = watch::channel(String::new());
        eventually(PATIENCE, async || {
            let leads = self.leases("*:lease:leader").await.pop().map(|run| self.name_of(&run));
            let living = leads.filter(|name| self.workers.iter().any(|worker| worker.name == *name));
            living.map(|name| known.send_replace(name)).is_some()
        })
        .await;
        leader.borrow().clone()
    }

    async fn leases(&self, pattern: &str) -> Vec<String> {
        let Ok(client) = ::redis::Client::open(self.redis.url()) else { return Vec::new() };
        let Ok(mut redis) = client.get_multiplexed_async_connection().await else { return Vec::new() };
        let keys: Vec<String> = ::redis::cmd("KEYS").arg(pattern).query_async(&mut redis).await.unwrap_or_default();
        let mut owners = Vec::new();
        for key in keys {
            let owner: Option<String> = ::redis::cmd("GET").arg(key).query_async(&mut redis).await.unwrap_or_default();
            owners.extend(owner);
        }
        owners
    }

    /// The name of the living worker whose run this is, or the run.
    fn name_of(&self, run: &str) -> String {
        let of = self.workers.iter().find(|worker| worker.running.said().contains(run));
        of.map_or_else(|| run.to_owned(), |worker| worker.name.clone())
    }

    /// Waits until a mail of this worker's is on its way.
    async fn busy(&self, name: &str) {
        const FLYING: &str = "SELECT count(*) FROM in_flight WHERE worker_id = $1";
        let pool = self.pool();
        eventually(PATIENCE, async || {
            sqlx::query_scalar::<_, i64>(FLYING).bind(name).fetch_one(pool).await.is_ok_and(|flying| flying > 0)
        })
        .await;
    }

    fn take(&mut self, name: &str) -> Worker {
        let place = self.workers.iter().position(|worker| worker.name == name).unwrap();
        self.workers.remove(place)
    }

    /// What the workers said last, for the message of a test that failed.
    pub async fn told(&self) -> String {
        let last = |said: String| said.lines().rev().take(25).map(|line| format!("\n  {line}")).collect::<String>();
        self.workers
            .iter()
            .map(|worker| format!("\n{}, last first:{}", worker.name, last(worker.running.said())))
            .collect()
    }
}

impl Ledger {
    fn url(&self) -> &str {
        match self {
            Ledger::Shared(database) => database.url(),
            Ledger::Own { server, .. } => server.url(),
        }
    }

    fn pool(&self) -> &PgPool {
        match self {
            Ledger::Shared(database) => database.pool(),
            Ledger::Own { pool, .. } => pool,
        }
    }
}

/// Three of four mailboxes are one user's, so that its own cap binds before the fleet's does.
fn mailboxes(smtp: u16) -> String {
    let zone = late_zone();
    let mut csv = String::from(
        "email,password,smtp_host,smtp_port,smtp_security,timezone,window,ramp_start,daily_max,user,display_name\n",
    );
    for n in 0..MAILBOXES {
        let user = if n % 4 == 0 { "small" } else { "large" };
        csv += &format!(
            "box{n}@kill.test,secret,127.0.0.1,{smtp},none,{zone},00:00-24:00,100,100,{user}@kill.test,Box {n}\n"
        );
    }
    csv
}

/// The scenario that is being played.
pub fn thread() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "what is broken lives on the real clock")]
pub fn now() -> Instant {
    Instant::now()
}
