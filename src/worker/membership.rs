//! `Membership` keeps this run a member of the fleet and owns its shards; it does both in the heartbeat.
//!
//! # Terms
//!
//! - *member*: a run whose last heartbeat is younger than the lease TTL, by the clock of Redis. A restarted worker is
//!   another member.
//! - *lease*: Redis lets a run act on a shard while the run is a member.
//! - *local lease deadline*: until this machine-clock time the worker relies on the lease.
//! - *epoch*: the fencing token of a shard in Postgres, which each new owner raises. The lease keeps workers from
//!   competing for a shard; the epoch makes Postgres refuse the reserve of a worker that missed the change of owner.
//! - *exclusive lease*: one more lease, on something that exists once: the worker's name or, in solo mode, the fleet.
//! - A worker *owns* a shard from the raise of its epoch to the local lease deadline.
//!
//! # One heartbeat
//!
//! ```text
//!   Postgres      Redis                              Postgres / Redis
//!   epochs ─▶ heartbeat(status, due)  ─▶ target ─┬─▶ drain shards of other owners ─idle─▶ release
//!             renew, report, read all    owners  └─▶ epochs ─▶ claim free shards ─▶ raise (compare-and-set) ─▶ plan
//!                                          └ domain/ownership: all workers compute the same from the same statuses
//!
//!   local deadline:   asked ├───────────── ttl ─────────────┤           counts from before the request
//!   membership:            granted ├───────────── ttl ─────────────┤    so it always ends later
//!   leases:           ───────────────────────────────────────────────── a part is extended each time: they end last
//! ```
//!
//! # Why
//!
//! - *A write to Postgres comes first*: a worker that can't write lets its membership end and so blocks no shard
//!   (`membership/writes.rs`).
//! - *A lease lasts as long as the membership*: `lua/claim.lua` gives away the leases of runs that are not members. A
//!   heartbeat therefore need not extend thousands of leases; it checks a part of them (`domain/lease_rotation.rs`).
//! - *A dropped shard is released*: while this run is a member, its lease would keep other workers out.
//! - *The worker reads the epoch before it claims the lease, and raises that value*. If two workers believe in a lease,
//!   only one can raise the epoch.
//! - *A shard drains before its release*: its in-flight mails are settled first. So a hand-over sends nothing twice and
//!   leaves nothing uncertain. The shards that stay are not affected.
//! - *A member is established after two heartbeats*. Until then a worker that is new, or that Redis forgot, takes only
//!   its former shards, by the record in Postgres. So an empty Redis moves no shard, and a fleet that starts together
//!   shares the shards before one worker takes all. Meanwhile the others reserve its share, but release nothing for it.
//!
//! # Failures
//!
//! - *This worker dies*: its membership ends within a TTL, and the others take its shards at their next heartbeat.
//! - *It stops in order*: all its shards drain, and each is released when it has no in-flight mail left.
//! - *It sleeps past its deadline*: its machine clock runs on, so it starts nothing after it wakes. Its next heartbeat
//!   finds that it was no member, so it drops all shards, whatever the leases say. Mails before the final dot are given
//!   up, and Postgres refuses a reserve that was in progress, because of the new epoch.
//! - *Redis loses all data*: the heartbeat finds no membership. The worker drops its shards and acquires them with new
//!   epochs.
//! - *A reply is lost*: the worker extends no deadline; the deadlines pass if the next replies are lost too. The next
//!   heartbeat with a reply checks all leases.
//! - *A failover sets Redis back by less than a TTL*: the lease of a shard that was just handed over may name its old
//!   owner. The old owner does not know of it, so no worker owns the shard until the lease ends.
//! - *The epoch moved on while the lease holds*: Redis was set back, or the shards were counted anew. The worker reads
//!   the epoch and raises it again.
//! - *Workers see different snapshots*: two may want one shard, and one gets its lease. Or no worker wants it until the
//!   next heartbeat.
//! - *Another worker took this worker's name*, after Redis forgot both: this worker reports the state `replaced`, so
//!   that the others take its share. It takes no shard until the name is free.
//! - *Another fleet with another database uses the same key prefix*: the fleet that came first stays. The worker of the
//!   other fleet drops its shards, takes none and does not lead, until it is alone.
//! - *The clock differs too much from that of Redis*: the worker takes no shard, and the other workers take its own.

mod acquire;
mod exclusive_lease;
mod rebalance;
mod writes;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

pub use self::exclusive_lease::MembershipError;
use super::{
    Ports, WorkerSettings, clock_watch::ClockWatch, owned_shards::OwnedShards, set_back::SetBackWatch,
    settler::InFlight, stats::WorkerStats,
};
use crate::{
    domain::{
        id::{Epoch, RunId, ShardId},
        lease::{LeaseDeadline, MachineTime},
        lease_rotation::LeaseRotation,
    },
    observe::liveness::Liveness,
    ports::{HeartbeatReply, LeaseKey, LedgerPulse, Member, MemberStatus, PortError},
};

/// The maximum difference to the clock of Redis. Beyond it a worker takes no shards.
const SKEW_ALLOWED: Duration = Duration::from_secs(30);

/// The wait for the next heartbeat after a failed one, or while shards move to or from this worker.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The number of heartbeats until a new member is established. Before, it acquires only its own former shards.
const PATIENCE: u32 = 2;

/// A `Membership` sends the heartbeats of one run and changes its owned shards.
pub(super) struct Membership {
    ports: Ports,
    settings: Arc<WorkerSettings>,
    run: RunId,
    seat: LeaseKey,
    holdings: Arc<OwnedShards>,
    unsettled: Arc<InFlight>,
    vitals: Arc<WorkerStats>,
    clock_watch: Arc<ClockWatch>,
    /// True while no other run has the exclusive lease of this worker: its name or, in solo mode, the fleet.
    is_seated: bool,
    set_back: Arc<SetBackWatch>,
    /// The machine time since which this run has been a member without a gap.
    member_since: Option<MachineTime>,
    /// The leases that are due at the next heartbeat.
    turns: LeaseRotation,
    /// Shards that this run does not own and whose leases may still name it.
    dropped: BTreeSet<ShardId>,
    /// The state in the last heartbeat that Postgres stored.
    written_state: &'static str,
    /// The kind of the last heartbeat's failure: its text without digits.
    last_failure: Option<String>,
}

impl Membership {
    pub(super) fn new(
        ports: Ports,
        settings: Arc<WorkerSettings>,
        run: RunId,
        holdings: Arc<OwnedShards>,
        unsettled: Arc<InFlight>,
        vitals: Arc<WorkerStats>,
        clock_watch: Arc<ClockWatch>,
    ) -> Membership {
        let seat = if settings.distributed { LeaseKey::name(&settings.worker) } else { LeaseKey::Solo };
        let (turns, dropped) = (LeaseRotation::default(), BTreeSet::new());
        let (is_seated, member_since) = (true, None);
        Membership {
            ports,
            settings,
            run,
            seat,
            holdings,
            unsettled,
            vitals,
            clock_watch,
            is_seated,
            set_back: Arc::default(),
            member_since,
            turns,
            dropped,
            written_state: "starting",
            last_failure: None,
        }
    }

    /// Checks at each heartbeat for a database that was set back, and shares the result in `set_back`.
    pub(super) fn watching(self, set_back: Arc<SetBackWatch>) -> Membership {
        Membership { set_back, ..self }
    }

    /// Owns shards until `keeping` is cancelled, then releases them. After `stop` it acquires no shard, and a worker of
    /// a fleet hands over its shards.
    pub(super) async fn run(mut self, stop: CancellationToken, keeping: CancellationToken, liveness: Arc<Liveness>) {
        loop {
            let stopping = stop.is_cancelled();
            let unrest = match self.heartbeat(stopping).await {
                Ok(moving) => {
                    liveness.beat(self.ports.clock.machine());
                    self.last_failure = None;
                    liveness.set_back(self.set_back.recognized());
                    moving
                }
                Err(error) => {
                    self.heartbeat_failed(&error, &liveness);
                    // An early heartbeat finds a returned service soon, and reacquires what the failure cost.
                    true
                }
            };
            let wait = if unrest { ASK_AGAIN.min(self.settings.heartbeat) } else { self.settings.heartbeat };
            tokio::select! {
                biased;
                () = keeping.cancelled() => break,
                () = stop.cancelled(), if !stopping => {}
                () = self.ports.clock.sleep(wait) => {}
            }
        }
        self.give_back().await;
    }

    /// Performs one heartbeat. Returns whether shards move to or from this worker.
    async fn heartbeat(&mut self, stopping: bool) -> Result<bool, PortError> {
        let clock = self.check_clock().await?;
        self.set_back.check(&self.ports, &self.settings).await?;
        let clock_is_right = clock.is_ok() && !self.clock_watch.is_off();
        let state = self.state(stopping, clock_is_right);
        let (members, trust) = self.renew(self.status(stopping, clock_is_right, state), state).await?;
        let share = self.share(stopping, &members).await?;
        self.holdings.hand_over(&share.to_release);
        let released = self.release_idle().await?;
        clock?;
        let missing = share.to_acquire.len();
        let acquired = self.acquire(share.to_acquire, trust).await?;
        Ok(released > 0 || missing > 0 || acquired > 0 || !self.holdings.draining_shards().is_empty())
    }

    /// Returns the state that this worker reports.
    fn state(&self, stopping: bool, clock_is_right: bool) -> &'static str {
        match (stopping, clock_is_right, self.is_established()) {
            (true, ..) => "draining",
            _ if !self.is_seated => "replaced",
            _ if self.holdings.is_benched() => "benched",
            (_, false, _) => "clock-off",
            (.., false) => "starting",
            _ => "running",
        }
    }

    fn status(&self, stopping: bool, clock_is_right: bool, state: &'static str) -> MemberStatus {
        let held = self.holdings.all();
        let (settled, benched) = (self.is_established(), self.holdings.is_benched());
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        MemberStatus {
            id: self.settings.worker.clone(),
            host: self.settings.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            shards: u16::try_from(held.len()).unwrap_or(u16::MAX),
            lanes: count(self.settings.max_concurrent),
            queue_size: count(self.vitals.queue_size()),
            active_sends: count(self.unsettled.flying()),
            last_tick: self.vitals.last_tick(),
            consecutive_failures: self.vitals.failures(),
            state: state.to_owned(),
            held: held.into_iter().map(|(shard, _)| shard).collect(),
            fleet_shards: self.settings.shards,
            fleet: self.settings.fleet.clone(),
            solo: !self.settings.distributed,
            accepts_shards: !stopping && clock_is_right && !benched && self.is_seated,
            is_established: settled,
        }
    }

    fn is_established(&self) -> bool {
        let now = self.ports.clock.machine();
        let patience = self.settings.heartbeat * PATIENCE;
        !self.settings.distributed || self.member_since.is_some_and(|since| now.since(since) >= patience)
    }

    /// Sends the heartbeat after Postgres has accepted a write: extends the deadlines of the leases that still hold and
    /// drops the others. Returns the live members, and the local deadline of this membership.
    async fn renew(
        &mut self,
        status: MemberStatus,
        state: &'static str,
    ) -> Result<(Vec<Member>, LeaseDeadline), PortError> {
        let held = self.holdings.all();
        let shards: Vec<ShardId> = held.iter().map(|(shard, _)| *shard).collect();
        let LedgerPulse { epochs, now } =
            self.ports.ledger.heartbeat(&self.ledger_heartbeat(shards.clone(), state)).await?;
        self.writes_taken(state);
        self.clock_watch.event_stored();
        self.clock_watch.compare(now);
        let read: Vec<(ShardId, Epoch)> = shards.into_iter().zip(epochs).collect();
        // `take`, because all leases are due at the next heartbeat if the reply to this one is lost.
        let turns = std::mem::take(&mut self.turns);
        let due = turns.due(&read);
        let asked = self.ports.clock.machine();
        let pulse = self.ports.members.heartbeat(self.run, &status, self.seat, &due, self.settings.lease_ttl).await;
        self.check_foreign_fleet(&pulse, &read).await;
        let pulse = pulse?;
        if !pulse.was_member || self.member_since.is_none() {
            self.member_since = Some(asked);
        }
        let trust = LeaseDeadline::from_request_time(asked, self.settings.lease_ttl);
        let passed = self.reconcile_leases(&held, &read, &due, &pulse, trust);
        self.turns = turns.advance(read);
        self.release_dropped().await?;
        if !pulse.has_exclusive_lease {
            self.is_seated = false;
            self.reacquire_exclusive().await?;
        }
        self.is_seated = true;
        self.raise_again(&passed, trust).await?;
        Ok((pulse.members, trust))
    }

    /// Drops all shards while members of another fleet use this key prefix.
    async fn check_foreign_fleet(&mut self, pulse: &Result<HeartbeatReply, PortError>, held: &[(ShardId, Epoch)]) {
        let strangers = matches!(pulse, Err(PortError::Lost(_)));
        self.vitals.set_foreign_fleet(strangers);
        if strangers && !held.is_empty() {
            self.lose(held.iter().map(|(shard, _)| *shard).collect());
        }
        if strangers && let Err(error) = self.release_dropped().await {
            tracing::debug!(%error, "lost leases not given back yet");
        }
    }

    /// Extends the deadlines of the leases that still hold and drops the shards of the others. Returns the shards whose
    /// lease holds but whose epoch another worker raised, with the present epoch. A run that was no member loses all
    /// shards, even those that are not due or whose leases name the run.
    fn reconcile_leases(
        &mut self,
        held: &[(ShardId, Epoch)],
        read: &[(ShardId, Epoch)],
        due: &[ShardId],
        pulse: &HeartbeatReply,
        trust: LeaseDeadline,
    ) -> Vec<(ShardId, Epoch)> {
        let gone = due.iter().zip(&pulse.still_held).filter(|(_, kept)| !**kept).map(|(shard, _)| *shard);
        let gone: BTreeSet<ShardId> = gone.collect();
        let is_ours = |shard| pulse.was_member && pulse.has_exclusive_lease && !gone.contains(shard);
        let (mut ours, mut lost, mut passed) = (Vec::new(), Vec::new(), Vec::new());
        for ((shard, epoch), (_, now)) in held.iter().zip(read) {
            match (is_ours(shard), now == epoch) {
                (true, true) => ours.push(*shard),
                (true, false) => passed.push((*shard, *now)),
                (false, _) => lost.push(*shard),
            }
        }
        self.holdings.extend(&ours, trust);
        if !lost.is_empty() {
            self.lose(lost);
        }
        passed
    }

    fn lose(&mut self, shards: Vec<ShardId>) {
        tracing::warn!(shards = shards.len(), "lost shards");
        self.drop_shards(&shards);
    }

    /// Compares the clock with that of Redis, because a worker with a wrong clock would plan the wrong hour. Does not
    /// compare a scaled or virtual clock.
    ///
    /// Returns the failure of the request itself; in `Ok`, the deviation of the clock as an error.
    async fn check_clock(&self) -> Result<Result<(), PortError>, PortError> {
        if self.ports.clock.caps_now().is_some() {
            return Ok(Ok(()));
        }
        let skew = self.ports.leases.skew(self.ports.clock.now().timestamp_micros()).await?;
        self.clock_watch.compare_redis(TimeDelta::microseconds(-skew), SKEW_ALLOWED);
        if Duration::from_micros(skew.unsigned_abs()) <= SKEW_ALLOWED {
            return Ok(Ok(()));
        }
        Ok(Err(PortError::Lost(format!(
            "this machine's clock is {} s off Redis: no shards are taken until it is set right",
            skew / 1_000_000
        ))))
    }

    async fn give_back(&mut self) {
        let shards: Vec<ShardId> = self.holdings.all().into_iter().map(|(shard, _)| shard).collect();
        self.drop_shards(&shards);
        let keys: Vec<LeaseKey> = self.dropped.iter().copied().map(LeaseKey::Shard).chain([self.seat]).collect();
        let given_back = async {
            self.ports.leases.release(self.run, &keys).await?;
            self.ports.members.leave(self.run).await
        };
        match given_back.await {
            Ok(()) => tracing::info!("leases given back"),
            Err(error) => tracing::warn!(%error, "leases not given back: they run out by themselves"),
        }
        if self.last_failure.is_some() {
            // Postgres or Redis is away, and the stop does not wait for it.
            return;
        }
        if let Err(error) = self.ports.ledger.heartbeat(&self.ledger_heartbeat(Vec::new(), "stopped")).await {
            tracing::debug!(%error, "the last heartbeat was not written: `warmup status` calls this worker silent for an hour");
        }
    }
}

#[cfg(test)]
mod tests;
