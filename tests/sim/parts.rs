//! A Postgres that is there, and too slow for all mailboxes at once.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::system::SeededRng,
    domain::{
        id::{MailboxId, ShardId},
        plan::Candidate,
        reply::DueReply,
        time::LocalDates,
    },
    observe::liveness::Liveness,
    ports::{Clock, PlanningStore, PortError, Roster},
    simulation::{FaultRates, MemoryCaps, MemoryDatabase, MemoryLeases, MemoryMailer, MemoryNotifier, VirtualClock},
    worker::{Ports, Worker},
};

use crate::fleet::{LIMITS, mailbox, settings};

const SHARDS: u16 = 16;

/// As long as a worker's `statement_timeout`.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads the mailboxes of at most `most` shards in time.
struct Sluggish {
    world: MemoryDatabase,
    clock: Arc<dyn Clock>,
    most: usize,
    /// How many shards each statement was about.
    parts: Mutex<Vec<usize>>,
    /// How often the roster was compared with the mailboxes.
    rosters: AtomicUsize,
}

#[async_trait]
impl PlanningStore for Sluggish {
    async fn roll_over_days(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<u64, PortError> {
        self.world.roll_over_days(shards, todays, now).await
    }

    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError> {
        self.parts.lock().unwrap().push(shards.len());
        if shards.len() > self.most {
            self.clock.sleep(STATEMENT_TIMEOUT).await;
            return Err(PortError::Slow("canceling statement due to statement timeout".into()));
        }
        self.world.candidates(shards, todays, now).await
    }

    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError> {
        self.world.due_replies(shards, now, before).await
    }

    async fn roster(
        &self,
        day: NaiveDate,
        now: DateTime<Utc>,
        known: Option<i32>,
    ) -> Result<Option<Roster>, PortError> {
        self.rosters.fetch_add(1, Ordering::SeqCst);
        self.world.roster(day, now, known).await
    }
}

/// Runs a worker of 48 mailboxes for half an hour of the window. Returns the parts, the comparisons of the roster, the mailboxes
/// that sent, and why the worker is not ready.
async fn half_an_hour(most: usize) -> (Vec<usize>, usize, usize, Option<String>) {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at("2026-11-24T12:00:00Z".parse().unwrap()));
    let world = MemoryDatabase::new(Arc::clone(&clock), SHARDS, 1.2);
    (1..=48).for_each(|n| world.enrol(mailbox(n, 30)));
    let leases = Arc::new(MemoryLeases::new(Arc::clone(&clock)));
    let (entropy, liveness) = (Arc::new(SeededRng::seeded(7)), Arc::new(Liveness::default()));
    let mailboxes = Arc::new(Sluggish {
        world: world.clone(),
        clock: Arc::clone(&clock),
        most,
        parts: Mutex::default(),
        rosters: AtomicUsize::new(0),
    });
    let ports = Ports {
        clock: Arc::clone(&clock),
        entropy: entropy.clone(),
        mailboxes: mailboxes.clone(),
        ledger: Arc::new(world.clone()),
        duties: Arc::new(world.clone()),
        caps: Arc::new(MemoryCaps::new(LIMITS, Arc::clone(&clock)).unwrap()),
        leases: leases.clone(),
        members: leases,
        mailer: Arc::new(MemoryMailer::new(Arc::clone(&clock), entropy, FaultRates::default())),
        orders: Arc::new(world.clone()),
        bell: Arc::new(MemoryNotifier::cast()),
    };
    let settings = warmup::worker::WorkerSettings { shards: SHARDS, ..settings() };
    let (stop, lease_ttl) = (CancellationToken::new(), settings.lease_ttl);
    let worker = tokio::spawn(Worker::new(ports, settings, Arc::clone(&liveness)).run(stop.clone()));
    clock.sleep_until(clock.now() + TimeDelta::minutes(30)).await;
    let unready = liveness.unready(clock.machine(), lease_ttl);
    stop.cancel();
    worker.await.unwrap().unwrap();
    let sent: BTreeSet<MailboxId> = world.logs().into_iter().map(|(_, row)| row.mailbox).collect();
    let parts = mailboxes.parts.lock().unwrap().clone();
    (parts, mailboxes.rosters.load(Ordering::SeqCst), sent.len(), unready)
}

#[tokio::test(start_paused = true)]
async fn a_database_too_slow_for_all_mailboxes_at_once_suspends_nobody() {
    let (parts, rosters, sent, unready) = half_an_hour(2).await;
    assert_eq!((sent, unready), (48, None), "{parts:?}");
    assert_eq!(&parts[..3], [16, 4, 1], "{parts:?}");
    assert!((1..=4).contains(&rosters), "one a tick, and not one a part: {rosters} for {} parts", parts.len());
}

/// There is nothing smaller to ask for: this worker does not schedule, and says why.
#[tokio::test(start_paused = true)]
async fn a_database_too_slow_for_one_shard_is_told_as_such() {
    let (_, _, sent, unready) = half_an_hour(0).await;
    let unready = unready.expect("the worker is suspended");
    assert!(sent == 0 && unready.contains("too slow: canceling statement"), "{unready}");
}
