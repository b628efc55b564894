//! A result that Postgres refuses for good: it stops nobody else, and its row is written with what can be.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::{
        postgres::{PostgresDuties, PostgresMailboxes, PostgresOrders},
        system::{SeededRng, SystemClock},
    },
    domain::{
        caps::CapLimits,
        id::{FleetId, MailboxId, WorkerId},
        maintenance::Retention,
        outcome::{
            Reply, Stage,
            classify::{DialogueEnd, classify_outcome},
        },
    },
    observe::liveness::Liveness,
    ports::{Clock, Mailer, SendPermit, SendReport, Submission},
    simulation::{MemoryCaps, MemoryLeases, MemoryNotifier},
    worker::{DrainReport, Ports, Worker, WorkerSettings},
};
use warmup_support::{
    conformance::ledger::{DAY, LedgerWorld, assert_true, enrol},
    world::{self, eventually},
};

use crate::ledger::{PostgresWorld, world_over};

const MAILBOXES: i64 = 20;
const QUOTA: u16 = 2;
/// Whose first mail is answered with the words that the database does not take.
const POISONED: i64 = 7;
const PATIENCE: Duration = Duration::from_secs(60);

/// A mail host that takes every mail, and answers one of them with other words.
struct Host {
    words: Mutex<Option<&'static str>>,
}

#[async_trait]
impl Mailer for Host {
    async fn send(&self, mail: &Submission, _gate: &SendPermit) -> SendReport {
        let mut words = self.words.lock().unwrap();
        let poison = words.take_if(|_| mail.flight.sender.mailbox == MailboxId(POISONED));
        let reply = Reply { code: 250, enhanced: Some([2, 0, 0]), text: poison.unwrap_or("accepted").to_owned() };
        let outcome = classify_outcome(Stage::Dot, DialogueEnd::Reply(reply));
        SendReport { outcome, latency: Duration::from_millis(1), steps: Vec::new() }
    }
}

/// A worker at eleven in the evening, when all is due.
struct Running {
    world: PostgresWorld,
    liveness: Arc<Liveness>,
    stop: CancellationToken,
    worker: tokio::task::JoinHandle<DrainReport>,
}

impl Running {
    async fn start(world: PostgresWorld, words: &'static str) -> Running {
        enrol(&world, MAILBOXES, QUOTA).await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::scaled(eleven(), 1.0));
        let leases = Arc::new(MemoryLeases::new(Arc::clone(&clock)));
        let pool = world.pool().clone();
        let ports = Ports {
            entropy: Arc::new(SeededRng::seeded(1)),
            mailboxes: Arc::new(PostgresMailboxes::new(pool.clone())),
            ledger: world.ledger(),
            duties: Arc::new(PostgresDuties::new(pool.clone())),
            caps: Arc::new(MemoryCaps::new(WIDE, Arc::clone(&clock)).unwrap()),
            leases: leases.clone(),
            members: leases,
            mailer: Arc::new(Host { words: Mutex::new(Some(words)) }),
            orders: Arc::new(PostgresOrders::new(pool)),
            bell: Arc::new(MemoryNotifier::cast()),
            clock,
        };
        let (liveness, stop) = (Arc::new(Liveness::default()), CancellationToken::new());
        let worker = Worker::new(ports, settings(), Arc::clone(&liveness));
        let worker = tokio::spawn({
            let stop = stop.clone();
            async move { worker.run(stop).await.unwrap() }
        });
        Running { world, liveness, stop, worker }
    }

    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.world.pool()).await.unwrap()
    }

    async fn wait_for(&self, rows: i64, query: &'static str) {
        eventually(PATIENCE, || async { self.count(query).await == rows }).await;
    }

    async fn stop(self) -> (PostgresWorld, DrainReport) {
        self.stop.cancel();
        (self.world, self.worker.await.unwrap())
    }
}

fn eleven() -> DateTime<Utc> {
    DAY.and_hms_opt(23, 0, 0).expect("a time of day that exists").and_utc()
}

const WIDE: CapLimits = CapLimits {
    global_hour: 1_000_000,
    global_minute: 1_000_000,
    user_hour: 1_000_000,
    user_minute: 1_000_000,
    burst: 0.05,
};

fn settings() -> WorkerSettings {
    WorkerSettings {
        worker: WorkerId("poisoned".into()),
        fleet: FleetId("poisoned".into()),
        host: "test".into(),
        distributed: false,
        shards: 16,
        max_concurrent: MAILBOXES as usize,
        batch_size: 100,
        batch_delay: Duration::ZERO,
        stagger_min: Duration::ZERO,
        stagger_max: Duration::ZERO,
        cooldown_min: Duration::ZERO,
        cooldown_max: Duration::ZERO,
        reply_delay_min: Duration::from_secs(300),
        reply_delay_max: Duration::from_secs(600),
        rate_limit_backoff: Duration::from_secs(1),
        quota_priority_boost: 2.0,
        tick_interval: Duration::from_secs(60),
        tick_spread: Duration::ZERO,
        active_hours: "00:00-24:00".parse().unwrap(),
        lease_ttl: Duration::from_secs(15),
        heartbeat: Duration::from_secs(1),
        mail_deadline: Duration::from_secs(50),
        drain_timeout: Duration::from_secs(60),
        timezone: chrono_tz::UTC,
        retention: Retention { log_days: 90, metrics_days: 30 },
    }
}

const SENT: &str = "SELECT count(*) FROM logs WHERE status = 'SENT'";
const REDUCED: &str = "
    SELECT count(*) FROM logs WHERE mailbox_id = 7 AND status = 'SENT' AND smtp_code = 250 AND enhanced_code = '2.0.0'
      AND notes = 'dot: the database refused the result as it was'";
const EVENT: &str = "
    SELECT count(*) FROM events WHERE kind = 'result-reduced' AND mailbox_id = 7 AND reason = 'sent'";

/// Nineteen settle, one has its reduced row, and all that comes later settles.
async fn assert_one_is_reduced(world: PostgresWorld, words: &'static str) {
    let running = Running::start(world, words).await;
    running.wait_for(MAILBOXES * i64::from(QUOTA), SENT).await;
    assert_eq!((running.count(REDUCED).await, running.count(EVENT).await), (1, 1));
    assert_eq!(running.count("SELECT count(*) FROM events WHERE kind = 'result-reduced'").await, 1);
    let (world, report) = running.stop().await;
    assert_eq!(report.abandoned, 0);
    for mailbox in 1..=MAILBOXES {
        assert_true(&world, mailbox, 0).await;
    }
}

#[tokio::test]
async fn words_that_a_latin1_database_can_not_hold_leave_a_reduced_row_and_stop_nobody() {
    let database = world::postgres_in("LATIN1").await;
    world::migrate_unchecked(&database).await;
    assert_one_is_reduced(world_over(database).await, "queued \u{2713}").await;
}

#[tokio::test]
async fn words_that_a_rule_of_the_database_forbids_leave_a_reduced_row_and_stop_nobody() {
    let world = world_over(world::postgres().await).await;
    let rule = "ALTER TABLE logs ADD CONSTRAINT words CHECK (notes NOT LIKE '%poison%')";
    sqlx::query(rule).execute(world.pool()).await.unwrap();
    assert_one_is_reduced(world, "poison").await;
}

/// It is kept and said, the others go on, and once the database takes it nothing is missing.
#[tokio::test]
async fn a_result_that_is_refused_in_every_form_waits_and_stops_nobody() {
    let world = world_over(world::postgres().await).await;
    let rule = "ALTER TABLE logs ADD CONSTRAINT nobody CHECK (mailbox_id <> 7)";
    sqlx::query(rule).execute(world.pool()).await.unwrap();
    let running = Running::start(world, "accepted").await;
    running.wait_for((MAILBOXES - 1) * i64::from(QUOTA), SENT).await;
    eventually(PATIENCE, || async { running.liveness.kept_results() == 1 }).await;
    assert_eq!(running.count("SELECT count(*) FROM in_flight WHERE mailbox_id = 7").await, 1, "nothing is lost");

    sqlx::query("ALTER TABLE logs DROP CONSTRAINT nobody").execute(running.world.pool()).await.unwrap();
    running.wait_for(MAILBOXES * i64::from(QUOTA), SENT).await;
    assert_eq!(running.count("SELECT count(*) FROM events WHERE kind = 'result-reduced'").await, 0, "whole");
    assert_eq!(running.liveness.kept_results(), 0);
    assert_eq!(running.stop().await.1.abandoned, 0);
}

/// A fault of the database and not of one result: nothing is reduced, all is repeated until it is taken.
#[tokio::test]
async fn where_every_result_is_refused_nothing_is_reduced_and_all_wait() {
    let world = world_over(world::postgres().await).await;
    let rule = "ALTER TABLE logs ADD CONSTRAINT nobody CHECK (mailbox_id < 0)";
    sqlx::query(rule).execute(world.pool()).await.unwrap();
    let running = Running::start(world, "accepted").await;
    // The batch, each of it in two forms, and the batch again: by then something would have been kept.
    const ROLLED_BACK: &str = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    eventually(PATIENCE, || async { running.count(ROLLED_BACK).await > 3 * MAILBOXES }).await;
    // Nothing new starts meanwhile, so these are the first batches: how many mails that is, is up to the machine.
    assert!(running.count("SELECT count(*) FROM in_flight").await > 0, "nothing is lost");

    sqlx::query("ALTER TABLE logs DROP CONSTRAINT nobody").execute(running.world.pool()).await.unwrap();
    running.wait_for(MAILBOXES * i64::from(QUOTA), SENT).await;
    assert_eq!(running.count("SELECT count(*) FROM events WHERE kind = 'result-reduced'").await, 0);
    assert_eq!(running.stop().await.1.abandoned, 0);
}
