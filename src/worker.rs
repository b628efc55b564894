//! `Worker` plans the mails of its shards at each tick and sends them in parallel.
//!
//! ```text
//!   membership ──owns──▶ shards with epochs         (heartbeat: renew, hand over, acquire, raise the epoch)
//!                        │
//!   tick ──reads, plans──▶ queue ──most urgent──▶ batch ─caps─▶ ─reserve─▶ lanes ──results──▶ settler ──▶ ledger
//!                            ▲                                              │                   │
//!                            └── next mail of a mailbox, once its previous mail is settled ─────┘
//! ```
//!
//! One loop makes all decisions. Membership, the settler, the maintenance runner and one task for each in-flight mail
//! run beside the loop. Only a leader runs the maintenance jobs. A stop cancels three tokens in this order:
//!
//! - `intake`: no new batch and no new maintenance job starts.
//! - `sending`: each in-flight mail ends at its next step, with an outcome. The drain cancels it when its time is over.
//! - `keeping`: the worker renews its leases until everything is settled and then releases them.

mod batch;
mod clock_watch;
mod compose;
mod connections;
mod delivery;
mod drain;
mod fleet_control;
mod grant_backoff;
mod grants;
mod hosts;
mod lanes;
mod leadership;
mod limit_warnings;
mod maintenance;
mod membership;
mod outbound;
mod owned_shards;
mod parts;
mod planner;
mod queue;
mod refused;
mod replies;
mod reserve;
mod set_back;
mod settings;
mod settler;
mod stats;
mod suspension;
mod unstarted;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
pub use drain::DrainReport;
use drain::Tasks;
pub use membership::MembershipError;
pub use settings::WorkerSettings;
use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    batch::LEASE_RETRY_DELAY,
    clock_watch::ClockWatch,
    connections::Connections,
    fleet_control::OrderListener,
    grant_backoff::GrantBackoff,
    lanes::Lanes,
    limit_warnings::LimitWarnings,
    maintenance::MaintenanceRunner,
    membership::Membership,
    owned_shards::OwnedShards,
    parts::Parts,
    queue::Queue,
    replies::ReplyQueue,
    set_back::SetBackWatch,
    settler::{InFlight, Settler},
    stats::WorkerStats,
    suspension::PendingProbe,
    unstarted::UnstartedMails,
};
use crate::{
    domain::{
        content::Texts,
        id::{MailboxId, RunId, ShardId},
        lease::MachineTime,
        pairing::Pairing,
        suspension::Suspension,
        time::next_tick,
    },
    observe::{liveness::Liveness, mail_spans::ParentSpan},
    ports::{
        Bell, Caps, Clock, Entropy, FleetControl, Leases, Ledger, Mailer, MaintenanceStore, MembershipStore,
        PlanningStore, entropy::Purpose,
    },
};

/// The ports of a worker.
#[derive(Clone)]
pub struct Ports {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub mailboxes: Arc<dyn PlanningStore>,
    pub ledger: Arc<dyn Ledger>,
    pub duties: Arc<dyn MaintenanceStore>,
    pub caps: Arc<dyn Caps>,
    pub leases: Arc<dyn Leases>,
    pub members: Arc<dyn MembershipStore>,
    pub mailer: Arc<dyn Mailer>,
    pub orders: Arc<dyn FleetControl>,
    pub bell: Arc<dyn Bell>,
}

/// An `Event` reports to the loop what a task beside it has done or read.
#[derive(Debug)]
enum Event {
    /// A lane ended its mail: a batch may start earlier, or a connection to the mail host can be given back.
    LaneDone,
    /// The results of these mails are in the ledger.
    Settled(Vec<Settled>),
    /// The listener read the fleet order, at a heartbeat or because of a notification (`rung`).
    Ordered { running: bool, rung: bool },
    /// A sweep released mails that were never started. A plan from before the sweep still counts their attempts.
    Released,
    /// An operator requests a tick now.
    Triggered,
    /// Mailboxes of these shards were enrolled, enabled or resumed.
    PlanRequested(BTreeSet<ShardId>),
}

/// The pairs of a day, computed from this version of the roster.
#[derive(Debug)]
struct DayPairing {
    version: i32,
    pairing: Pairing,
}

/// A mailbox with a settled mail. It may send again from `next_at`, unless the reply stopped it.
#[derive(Debug)]
struct Settled {
    mailbox: MailboxId,
    next_at: DateTime<Utc>,
    stopped: bool,
    /// True if no connection was opened; the ledger has then taken the attempt back.
    unstarted: bool,
}

/// A `Worker` sends the mails of its shards. Each value runs once.
pub struct Worker {
    ports: Ports,
    settings: Arc<WorkerSettings>,
    texts: Arc<Texts>,
    run: RunId,
    holdings: Arc<OwnedShards>,
    liveness: Arc<Liveness>,
    vitals: Arc<WorkerStats>,
    clock_watch: Arc<ClockWatch>,
    queue: Queue,
    replies: ReplyQueue,
    lanes: Arc<Lanes>,
    connections: Connections,
    /// The pairs of the days in the plan.
    pairings: BTreeMap<NaiveDate, DayPairing>,
    unsettled: Arc<InFlight>,
    unstarted: Arc<UnstartedMails>,
    set_back: Arc<SetBackWatch>,
    tracker: TaskTracker,
    /// The runtime for the deliveries; `None` means the runtime of the loop.
    send_runtime: Option<Handle>,
    intake: CancellationToken,
    sending: CancellationToken,
    events: mpsc::UnboundedReceiver<Event>,
    events_tx: mpsc::UnboundedSender<Event>,
    prepared: Option<NaiveDate>,
    /// No batch starts before this time: `WARMUP_BATCH_DELAY_MS`, the wait of a cap, or the wait after a refusal.
    paused_until: DateTime<Utc>,
    /// The time since which a batch could start and waits for more mails.
    batch_open_since: Option<DateTime<Utc>>,
    /// The maximum number of mails of the next batch while a cap of the fleet refuses.
    batch_limit: usize,
    /// No batch starts before the end of this backoff: the ledger answered too late for the grants.
    backoff: GrantBackoff,
    limit_warnings: LimitWarnings,
    next_tick: DateTime<Utc>,
    /// The shards that the current tick has not planned yet.
    parts: Parts,
    /// The shards to plan before the next tick.
    requested: BTreeSet<ShardId>,
    /// The tick that planned last: the parent of the spans of its mails.
    tick_span: ParentSpan,
    /// The fleet order as last read.
    is_fleet_running: bool,
    bench: Suspension,
    /// The next probe during a suspension.
    benched: Option<PendingProbe>,
}

impl Worker {
    /// Creates a worker over `ports`. Nothing runs before `run`.
    pub fn new(ports: Ports, settings: WorkerSettings, liveness: Arc<Liveness>) -> Worker {
        let run = RunId(ports.entropy.uuid());
        let (events_tx, events) = mpsc::unbounded_channel();
        Worker {
            run,
            holdings: Arc::new(OwnedShards::new(Arc::clone(&ports.clock))),
            liveness,
            vitals: Arc::default(),
            clock_watch: Arc::new(ClockWatch::new(Arc::clone(&ports.clock))),
            queue: Queue::new(settings.max_concurrent),
            replies: ReplyQueue::default(),
            lanes: Arc::new(Lanes::new(settings.max_concurrent, settings.batch_size)),
            connections: Connections::new(run, Arc::clone(&ports.clock)),
            pairings: BTreeMap::new(),
            unsettled: Arc::new(InFlight::default()),
            unstarted: Arc::default(),
            set_back: Arc::default(),
            tracker: TaskTracker::new(),
            send_runtime: None,
            intake: CancellationToken::new(),
            sending: CancellationToken::new(),
            events,
            events_tx,
            prepared: None,
            paused_until: DateTime::<Utc>::MIN_UTC,
            batch_open_since: None,
            batch_limit: usize::MAX,
            backoff: GrantBackoff::default(),
            limit_warnings: LimitWarnings::default(),
            next_tick: DateTime::<Utc>::MIN_UTC,
            parts: Parts::default(),
            requested: BTreeSet::new(),
            tick_span: ParentSpan::default(),
            is_fleet_running: true,
            bench: Suspension::default(),
            benched: None,
            settings: Arc::new(settings),
            texts: Texts::built_in(),
            ports,
        }
    }

    /// Replaces the built-in texts.
    pub fn with_texts(mut self, texts: Arc<Texts>) -> Worker {
        self.texts = texts;
        self
    }

    /// Sends the mails on another runtime.
    pub fn with_lanes_on(mut self, runtime: &Handle) -> Worker {
        self.send_runtime = Some(runtime.clone());
        self
    }

    /// Runs until `stop` is cancelled, then finishes or settles all that it started and releases its shards.
    ///
    /// Returns an error if the worker may not run beside the workers that are running.
    pub async fn run(mut self, stop: CancellationToken) -> Result<DrainReport, MembershipError> {
        self.intake = stop.clone();
        let keeping = CancellationToken::new();
        let keeper = self.keeper();
        if !keeper.acquire_exclusive(&stop).await? {
            return Ok(DrainReport::default());
        }
        tracing::info!(worker = %self.settings.worker, run = %self.run, "worker started");
        let keeper = tokio::spawn(keeper.run(stop.clone(), keeping.clone(), Arc::clone(&self.liveness)));
        let (settler, results) = Settler::new(
            self.ports.clone(),
            self.settings.worker.clone(),
            Arc::clone(&self.unsettled),
            Arc::clone(&self.set_back),
            self.events_tx.clone(),
            Arc::clone(&self.liveness),
        );
        let settler = tokio::spawn(settler.run());
        let chores = MaintenanceRunner::new(
            self.ports.clone(),
            Arc::clone(&self.settings),
            self.run,
            Arc::clone(&self.unsettled),
            Arc::clone(&self.vitals),
            Arc::clone(&self.clock_watch),
        );
        let chores = tokio::spawn(chores.run(stop.clone()));
        let listener = OrderListener {
            ports: self.ports.clone(),
            heartbeat: self.settings.heartbeat,
            events_tx: self.events_tx.clone(),
        };
        let listener = tokio::spawn(listener.listen(stop.clone()));
        self.serve(&stop, &results).await;
        // The listener ends with `stop`. The abort covers a read of the fleet order that hangs.
        listener.abort();
        Ok(self.drain(results, Tasks { settler, chores, keeping, keeper }).await)
    }

    fn keeper(&self) -> Membership {
        Membership::new(
            self.ports.clone(),
            Arc::clone(&self.settings),
            self.run,
            Arc::clone(&self.holdings),
            Arc::clone(&self.unsettled),
            Arc::clone(&self.vitals),
            Arc::clone(&self.clock_watch),
        )
        .watching(Arc::clone(&self.set_back))
    }

    /// Runs the loop until `stop`. A stop may interrupt a tick anywhere, because all steps of a tick are repeatable.
    async fn serve(&mut self, stop: &CancellationToken, results: &settler::ResultSender) {
        self.next_tick = self.ports.clock.now();
        loop {
            self.look_at_clock();
            // A wrong clock may have set the tick too late: the next tick by the right clock is the limit.
            self.next_tick = self.next_tick.min(next_tick(self.ports.clock.now(), self.interval()));
            let (wake, probe) = (self.next_batch_at(), self.benched.as_ref().map(|benched| benched.probe_at));
            let (give_back, backoff) = (self.connections.give_back_at(), self.backoff.until());
            self.vitals.queued(self.queue.len());
            let clock = Arc::clone(&self.ports.clock);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(event) = self.events.recv() => self.on_events(event),
                () = self.holdings.changed() => drop(stop.run_until_cancelled(self.on_change()).await),
                () = pause_until_some(&*clock, probe) => drop(stop.run_until_cancelled(self.on_probe()).await),
                () = clock.sleep_until(self.next_tick), if probe.is_none() => match stop.run_until_cancelled(self.on_tick()).await {
                    Some(next) => self.next_tick = next,
                    None => return,
                },
                () = wait_for_batch(&*clock, backoff, wake) => self.dispatch(results).await,
                () = pause_until_some(&*clock, give_back) => {
                    self.tracker.spawn(self.connections.give_back(&self.ports.caps));
                }
                // The last branches: mails that are due go before planning.
                () = std::future::ready(()), if probe.is_none() && self.is_fleet_running && !self.parts.is_empty() => {
                    let _: Option<()> = stop.run_until_cancelled(self.plan_part()).await;
                }
                () = std::future::ready(()), if probe.is_none() && !self.requested.is_empty() && self.clock_watch.is_right() => {
                    let _: Option<()> = stop.run_until_cancelled(self.on_requested()).await;
                }
            }
        }
    }

    /// Handles `first` and all events that wait behind it, so that a batch is handled at once.
    fn on_events(&mut self, first: Event) {
        self.on_event(first);
        while let Ok(event) = self.events.try_recv() {
            self.on_event(event);
        }
    }

    fn on_event(&mut self, event: Event) {
        let now = self.ports.clock.now();
        match event {
            // The event only has to wake the loop.
            Event::LaneDone => {}
            Event::Settled(all) => all.into_iter().for_each(|settled| self.on_settled(settled)),
            Event::Ordered { running, rung } => {
                self.on_order(running, now);
                if running && rung {
                    self.retry_now();
                }
            }
            Event::Released => self.next_tick = now,
            Event::PlanRequested(shards) => {
                self.parts.forget_rosters();
                self.requested.extend(shards);
            }
            Event::Triggered => {
                tracing::info!("triggered: planning now");
                self.next_tick = now;
                self.retry_now();
            }
        }
    }

    fn on_settled(&mut self, Settled { mailbox, next_at, stopped, unstarted }: Settled) {
        if stopped {
            self.queue.stopped(mailbox);
        } else if unstarted {
            // The plan counts one attempt more than the ledger now does. An early tick reads the mailbox again.
            self.queue.stopped(mailbox);
            self.next_tick = self.next_tick.min(self.ports.clock.now() + LEASE_RETRY_DELAY);
        } else {
            self.replies.cool(mailbox, next_at);
            self.queue.done(mailbox, next_at);
        }
    }

    fn on_order(&mut self, running: bool, now: DateTime<Utc>) {
        match (self.is_fleet_running, running) {
            (true, false) => {
                tracing::info!("stopped by order: nothing new is started until the fleet is started again")
            }
            (false, true) => {
                tracing::info!("started by order: planning now");
                self.next_tick = now;
            }
            _ => {}
        }
        self.is_fleet_running = running;
    }

    /// Returns the time of the next batch: a lane is free, a mail or reply is released, no wait applies, and the batch
    /// is complete. Returns `None` while no batch can start.
    fn next_batch_at(&mut self) -> Option<DateTime<Utc>> {
        let now = self.ports.clock.now();
        self.hear_lanes(now);
        let may_start = self.is_fleet_running && !self.bench.is_benched() && self.set_back.recognized().is_none();
        let lane = self.lanes.next_free_at().filter(|_| may_start)?;
        let letter = [self.queue.next_at(), self.replies.next_at()].into_iter().flatten().min()?;
        Some(lane.max(letter).max(self.paused_until).max(self.gathers_until(now)).max(now))
    }

    fn between(&self, purpose: Purpose, key: u64, min: Duration, max: Duration) -> TimeDelta {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let rolled = self.ports.entropy.between(purpose, key, micros(min), micros(max));
        TimeDelta::microseconds(i64::try_from(rolled).unwrap_or(i64::MAX))
    }
}

/// Waits until the day clock shows `wake` and the machine clock shows the end of `backoff`.
async fn wait_for_batch(clock: &dyn Clock, backoff: Option<MachineTime>, wake: Option<DateTime<Utc>>) {
    sleep_until_some(clock, wake).await;
    if backoff.is_some() {
        pause_until_some(clock, backoff).await;
    }
}

async fn sleep_until_some(clock: &dyn Clock, at: Option<DateTime<Utc>>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits until the machine clock shows `at`; without `at` it never returns.
async fn pause_until_some(clock: &dyn Clock, at: Option<MachineTime>) {
    match at {
        Some(at) => clock.sleep(at.since(clock.machine())).await,
        None => std::future::pending().await,
    }
}
