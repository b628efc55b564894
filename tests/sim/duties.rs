//! The daily duties: in memory as their port demands, and by workers that are killed, late, or asleep for days.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::system::SeededRng,
    domain::{
        id::WorkerId,
        maintenance::{MaintenanceJob, PruneTarget, due},
    },
    observe::liveness::Liveness,
    ports::{Clock, LeaseKey, MaintenanceStore, PortError, PruneReport},
    simulation::{
        Fault, FaultRates, MemoryCaps, MemoryDatabase, MemoryLeases, MemoryMailer, MemoryNotifier, VirtualClock,
        database::CleanupRow,
    },
    worker::{DrainReport, MembershipError, Ports, Worker, WorkerSettings},
};
use warmup_support::{
    conformance::duties::{DutiesWorld, Row},
    hand_clock::HandClock,
};

use crate::fleet::{LIMITS, settings};

struct InMemory(MemoryDatabase);

async fn world() -> InMemory {
    InMemory(MemoryDatabase::new(Arc::new(HandClock::default()), 1, 1.5))
}

#[async_trait]
impl DutiesWorld for InMemory {
    fn duties(&self) -> Arc<dyn MaintenanceStore> {
        Arc::new(self.0.clone())
    }

    async fn write(&self, kept: PruneTarget, day: NaiveDate) {
        self.0.remember(kept, day);
    }

    async fn write_open_day(&self, day: NaiveDate) {
        self.0.remember_day(day, false);
    }

    async fn write_flying_day(&self, day: NaiveDate) {
        self.0.remember_day(day, true);
    }

    async fn left(&self, kept: PruneTarget) -> Vec<NaiveDate> {
        self.0.remembered(kept)
    }

    async fn rows(&self) -> Vec<Row> {
        let row = |(day, row): (NaiveDate, CleanupRow)| Row {
            day,
            covered_by: row.covered_by,
            attempts: row.attempts,
            finished: row.finished,
        };
        self.0.cleanups().into_iter().map(row).collect()
    }

    async fn go_away(&self) {
        self.0.set_fault(Some(Fault::Unavailable));
    }
}

warmup_support::duties_conformance!(world);

/// The duties of a world, up to their `last` change: that one waits until it may go on.
struct Cut {
    world: MemoryDatabase,
    changes: AtomicUsize,
    last: usize,
    reached: Notify,
    go_on: Notify,
}

impl Cut {
    fn new(world: &MemoryDatabase, last: usize) -> Arc<Cut> {
        let (reached, go_on) = (Notify::new(), Notify::new());
        Arc::new(Cut { world: world.clone(), changes: AtomicUsize::new(0), last, reached, go_on })
    }

    async fn change<T>(&self, change: impl Future<Output = T>) -> T {
        // The others have their turn between any two.
        tokio::task::yield_now().await;
        let at = self.changes.fetch_add(1, Ordering::SeqCst);
        if at == self.last {
            self.reached.notify_one();
            self.go_on.notified().await;
        }
        change.await
    }
}

#[async_trait]
impl MaintenanceStore for Cut {
    async fn finished(&self, day: NaiveDate) -> Result<Option<NaiveDate>, PortError> {
        self.world.finished(day).await
    }
    async fn begin(
        &self,
        worker: &WorkerId,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<Option<BTreeSet<MaintenanceJob>>, PortError> {
        self.change(self.world.begin(worker, day, now)).await
    }
    async fn prune(&self, kept: PruneTarget, before: NaiveDate) -> Result<PruneReport, PortError> {
        self.change(self.world.prune(kept, before)).await
    }
    async fn note(&self, day: NaiveDate, duty: MaintenanceJob, gone: u64) -> Result<(), PortError> {
        self.change(self.world.note(day, duty, gone)).await
    }
    async fn finish(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<bool, PortError> {
        self.change(self.world.finish(day, now)).await
    }
}

/// One machine's services, over which workers come and go.
struct Place {
    clock: Arc<dyn Clock>,
    world: MemoryDatabase,
    leases: Arc<MemoryLeases>,
    /// One for all, so that no two workers get the same run: to the leases they would be one.
    entropy: Arc<SeededRng>,
    zone: Tz,
    /// How many workers there were so far.
    workers: AtomicUsize,
}

impl Place {
    fn at(zone: Tz, begins: &str) -> Place {
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(begins.parse().unwrap()));
        let world = MemoryDatabase::new(Arc::clone(&clock), 16, 1.2);
        Place {
            leases: Arc::new(MemoryLeases::new(Arc::clone(&clock))),
            entropy: Arc::new(SeededRng::seeded(7)),
            clock,
            world,
            zone,
            workers: AtomicUsize::new(0),
        }
    }

    fn worker(
        &self,
        duties: Arc<dyn MaintenanceStore>,
        stop: &CancellationToken,
    ) -> JoinHandle<Result<DrainReport, MembershipError>> {
        let entropy = Arc::clone(&self.entropy);
        let ports = Ports {
            clock: Arc::clone(&self.clock),
            entropy: entropy.clone(),
            mailboxes: Arc::new(self.world.clone()),
            ledger: Arc::new(self.world.clone()),
            duties,
            caps: Arc::new(MemoryCaps::new(LIMITS, Arc::clone(&self.clock)).unwrap()),
            leases: self.leases.clone(),
            members: self.leases.clone(),
            mailer: Arc::new(MemoryMailer::new(Arc::clone(&self.clock), entropy, FaultRates::default())),
            orders: Arc::new(self.world.clone()),
            bell: Arc::new(MemoryNotifier::cast()),
        };
        // Few heartbeats, so that days pass quickly.
        // Each has a name of its own: one that is taken is refused while its owner may live.
        let worker = WorkerId(format!("worker-{}", self.workers.fetch_add(1, Ordering::SeqCst)));
        let settings = WorkerSettings {
            worker,
            distributed: true,
            timezone: self.zone,
            heartbeat: Duration::from_secs(200),
            lease_ttl: Duration::from_secs(600),
            ..settings()
        };
        tokio::spawn(Worker::new(ports, settings, Arc::new(Liveness::default())).run(stop.clone()))
    }

    /// Lets a worker live until `at`, and stops it.
    async fn live_until(&self, at: DateTime<Utc>) {
        let stop = CancellationToken::new();
        let worker = self.worker(Arc::new(self.world.clone()), &stop);
        self.clock.sleep_until(at).await;
        stop.cancel();
        worker.await.unwrap().unwrap();
    }

    fn days(&self) -> Vec<(NaiveDate, Option<NaiveDate>)> {
        let rows: BTreeMap<NaiveDate, CleanupRow> = self.world.cleanups();
        assert!(rows.values().all(|row| row.finished), "{rows:?}");
        rows.into_iter().map(|(day, row)| (day, row.covered_by)).collect()
    }
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Two workers, of which one is killed at its `last` change of the duties; the other one finishes. Returns whether the
/// first one came that far.
async fn killed_at(last: usize) -> bool {
    let place = Place::at(chrono_tz::UTC, "2026-11-24T12:00:00Z");
    for day in ["2026-08-01", "2026-11-24"] {
        for duty in MaintenanceJob::ALL {
            if let MaintenanceJob::Retire(kept) = duty {
                place.world.remember(kept, date(day));
            }
        }
    }
    // Today's own row would be finished.
    let today = date("2026-11-24");
    place.world.forget_cleanup(today);
    let (cut, stop) = (Cut::new(&place.world, last), CancellationToken::new());
    let first = place.worker(cut.clone(), &stop);
    let reached = tokio::select! {
        () = cut.reached.notified() => true,
        () = place.clock.sleep(Duration::from_secs(600)) => false,
    };
    first.abort();
    let _ = first.await;
    // An aborted worker's tasks live on: its lease is lost, so that it can do no more than a killed one.
    place.leases.lose();
    stop.cancel();
    place.live_until(place.clock.now() + TimeDelta::minutes(10)).await;

    let row = place.world.cleanups().remove(&today).expect("the date has its row");
    assert!(row.finished && row.covered_by.is_none(), "killed at {last}: {row:?}");
    assert_eq!(row.done.len(), MaintenanceJob::ALL.len(), "killed at {last}: {row:?}");
    for duty in MaintenanceJob::ALL {
        if let MaintenanceJob::Retire(kept) = duty {
            let left = place.world.remembered(kept);
            assert!(left.iter().all(|day| *day > date("2026-08-01")), "killed at {last}: {kept:?} {left:?}");
            assert!(left.contains(&today), "killed at {last}: {kept:?}");
        }
    }
    reached
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_killed_between_any_two_steps_leaves_the_rest_to_the_next() {
    let mut last = 0;
    while killed_at(last).await {
        last += 1;
    }
    // The row is opened, each kind of things goes, each step is noted, the row is closed.
    let kinds = MaintenanceJob::ALL.iter().filter(|duty| matches!(duty, MaintenanceJob::Retire(_))).count();
    assert_eq!(last, 1 + kinds + MaintenanceJob::ALL.len() + 1, "every change was cut");
}

#[tokio::test(start_paused = true)]
async fn only_one_of_several_workers_does_the_duties() {
    let place = Place::at(chrono_tz::UTC, "2026-11-24T23:50:00Z");
    let stop = CancellationToken::new();
    let counted: Vec<Arc<Cut>> = (0..3).map(|_| Cut::new(&place.world, usize::MAX)).collect();
    let workers: Vec<_> = counted.iter().map(|duties| place.worker(duties.clone(), &stop)).collect();
    place.clock.sleep_until(at("2026-11-25T00:10:00Z")).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    let changes: Vec<usize> = counted.iter().map(|duties| duties.changes.load(Ordering::SeqCst)).collect();
    assert_eq!(changes.iter().filter(|changes| **changes > 0).count(), 1, "{changes:?}");
    assert_eq!(place.days().len(), 2);
    assert!(place.world.cleanups().values().all(|row| row.attempts == 1 && row.covered_by.is_none()));
}

#[tokio::test(start_paused = true)]
async fn every_date_has_its_turn_in_zones_with_short_long_and_odd_days() {
    for (zone, begins, days) in [
        (chrono_tz::America::Los_Angeles, "2027-03-12T20:00:00Z", 4),
        (chrono_tz::America::Los_Angeles, "2026-10-30T20:00:00Z", 4),
        (chrono_tz::Asia::Tokyo, "2026-11-22T20:00:00Z", 3),
        (chrono_tz::Pacific::Auckland, "2026-09-25T20:00:00Z", 4),
        (chrono_tz::America::Sao_Paulo, "2018-11-02T12:00:00Z", 4),
        (chrono_tz::Africa::Cairo, "2026-04-22T12:00:00Z", 4),
        (chrono_tz::Asia::Beirut, "2026-03-27T12:00:00Z", 4),
    ] {
        let place = Place::at(zone, begins);
        let (first, ends) = (due(zone, at(begins)), at(begins) + TimeDelta::days(days));
        place.live_until(ends).await;
        let wanted: Vec<_> =
            first.iter_days().take_while(|day| *day <= due(zone, ends)).map(|day| (day, None)).collect();
        assert_eq!(place.days(), wanted, "{zone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_over_midnight_makes_the_duties_late_and_not_lost() {
    let place = Place::at(chrono_tz::Asia::Tokyo, "2026-11-24T10:00:00Z");
    place.live_until(at("2026-11-24T14:59:00Z")).await;
    place.clock.sleep_until(at("2026-11-24T21:30:00Z")).await;
    place.live_until(at("2026-11-24T21:31:00Z")).await;
    assert_eq!(place.days(), [(date("2026-11-24"), None), (date("2026-11-25"), None)]);
}

#[tokio::test(start_paused = true)]
async fn after_ten_days_without_a_machine_what_is_due_is_done_once() {
    let place = Place::at(chrono_tz::UTC, "2026-11-24T10:00:00Z");
    place.world.remember(PruneTarget::Logs, date("2026-08-28"));
    place.live_until(at("2026-11-24T11:00:00Z")).await;
    assert_eq!(place.world.remembered(PruneTarget::Logs).len(), 1, "it is 88 days old");
    place.clock.sleep_until(at("2026-12-04T11:00:00Z")).await;
    place.live_until(at("2026-12-04T12:00:00Z")).await;
    let last = date("2026-12-04");
    let mut wanted = vec![(date("2026-11-24"), None)];
    wanted.extend((1..10).map(|days| (date("2026-11-24") + Days::new(days), Some(last))));
    wanted.push((last, None));
    assert_eq!(place.days(), wanted);
    assert!(place.world.remembered(PruneTarget::Logs).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_away_at_five_past_midnight_gets_its_duties_later() {
    let place = Place::at(chrono_tz::UTC, "2026-11-24T23:00:00Z");
    let stop = CancellationToken::new();
    let worker = place.worker(Arc::new(place.world.clone()), &stop);
    place.clock.sleep_until(at("2026-11-25T00:00:00Z")).await;
    place.world.set_fault(Some(Fault::Unavailable));
    place.clock.sleep_until(at("2026-11-25T03:00:00Z")).await;
    place.world.set_fault(None);
    place.clock.sleep_until(at("2026-11-25T03:05:00Z")).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    assert_eq!(place.days(), [(date("2026-11-24"), None), (date("2026-11-25"), None)]);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_leader_gives_the_leadership_back() {
    let place = Place::at(chrono_tz::UTC, "2026-11-24T10:00:00Z");
    place.live_until(at("2026-11-24T10:01:00Z")).await;
    // Long before the lease could have run out.
    let stop = CancellationToken::new();
    place.world.forget_cleanup(date("2026-11-24"));
    let next = place.worker(Arc::new(place.world.clone()), &stop);
    place.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(place.days(), [(date("2026-11-24"), None)]);
    stop.cancel();
    next.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_can_not_write_gives_the_leadership_up_until_it_can() {
    let place = Place::at(chrono_tz::UTC, "2026-11-24T10:00:00Z");
    let stop = CancellationToken::new();
    let worker = place.worker(Arc::new(place.world.clone()), &stop);
    place.clock.sleep(Duration::from_secs(60)).await;
    // Three heartbeats each.
    place.world.set_read_only(true);
    place.clock.sleep(Duration::from_secs(600)).await;
    assert!(!place.leases.holders().contains_key(&LeaseKey::Leader));
    place.world.set_read_only(false);
    place.clock.sleep(Duration::from_secs(600)).await;
    assert!(place.leases.holders().contains_key(&LeaseKey::Leader));
    stop.cancel();
    worker.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_has_run_out_takes_no_further_step() {
    let place = Place::at(chrono_tz::UTC, "2026-11-24T10:00:00Z");
    // It is held up over the note of its first step, and meanwhile it can't renew.
    let (cut, stop) = (Cut::new(&place.world, 1), CancellationToken::new());
    let worker = place.worker(cut.clone(), &stop);
    cut.reached.notified().await;
    place.leases.set_fault(Some(Fault::Unavailable));
    place.clock.sleep(Duration::from_secs(600)).await;
    cut.go_on.notify_one();
    place.clock.sleep(Duration::from_secs(300)).await;
    assert_eq!(cut.changes.load(Ordering::SeqCst), 2, "the row was opened, one step noted, and no more");
    place.leases.set_fault(None);
    place.clock.sleep(Duration::from_secs(300)).await;
    assert_eq!(place.days(), [(date("2026-11-24"), None)]);
    stop.cancel();
    worker.await.unwrap().unwrap();
}

/// Duties of which one step fails for an hour.
struct Blocked(MemoryDatabase, Arc<dyn Clock>);

#[async_trait]
impl MaintenanceStore for Blocked {
    async fn finished(&self, day: NaiveDate) -> Result<Option<NaiveDate>, PortError> {
        self.0.finished(day).await
    }
    async fn begin(
        &self,
        worker: &WorkerId,
        day: NaiveDate,
        now: DateTime<Utc>,
    ) -> Result<Option<BTreeSet<MaintenanceJob>>, PortError> {
        self.0.begin(worker, day, now).await
    }
    async fn prune(&self, kept: PruneTarget, before: NaiveDate) -> Result<PruneReport, PortError> {
        if kept == PruneTarget::Logs && self.1.now() < at("2026-11-24T11:00:00Z") {
            return Err(PortError::Unavailable("somebody reads".into()));
        }
        self.0.prune(kept, before).await
    }
    async fn note(&self, day: NaiveDate, duty: MaintenanceJob, gone: u64) -> Result<(), PortError> {
        self.0.note(day, duty, gone).await
    }
    async fn finish(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<bool, PortError> {
        self.0.finish(day, now).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_duty_that_fails_holds_up_no_other_and_is_repeated() {
    let place = Place::at(chrono_tz::UTC, "2026-11-24T10:00:00Z");
    [PruneTarget::Logs, PruneTarget::Pairs].into_iter().for_each(|kept| place.world.remember(kept, date("2026-08-01")));
    let stop = CancellationToken::new();
    let worker = place.worker(Arc::new(Blocked(place.world.clone(), Arc::clone(&place.clock))), &stop);
    place.clock.sleep_until(at("2026-11-24T10:30:00Z")).await;
    assert!(!place.world.cleanups()[&date("2026-11-24")].finished);
    assert_eq!(
        (place.world.remembered(PruneTarget::Logs).len(), place.world.remembered(PruneTarget::Pairs).len()),
        (1, 0)
    );
    place.clock.sleep_until(at("2026-11-24T11:02:00Z")).await;
    assert_eq!(place.days(), [(date("2026-11-24"), None)]);
    assert!(place.world.remembered(PruneTarget::Logs).is_empty());
    stop.cancel();
    worker.await.unwrap().unwrap();
}
