//! Keeps the worker's shards: the heartbeat, and with it the worker's part in the fleet.
//!
//! # Terms
//!
//! - *member*: a run of a worker that has beaten within the lease TTL, by Redis' clock. A restart is another member.
//! - *lease*: Redis' word that a run may act on a shard as long as it is a member. *Trust*: how long the worker believes
//!   in it.
//! - *epoch*: the number of a shard's term in Postgres, raised by each new owner. It is the fence: the lease keeps workers
//!   out of each other's way, the epoch refuses the reserve of one that did not notice.
//! - *seat*: one more lease, on what may exist once only: the worker's name, or, for a worker that works alone, the fleet.
//! - A worker *owns* a shard from the raise of its epoch to the end of its trust in the lease.
//!
//! # One heartbeat
//!
//! ```text
//!   Postgres      Redis                               Postgres / Redis
//!   epochs ─▶ heartbeat(status, due)    ─▶ wanted ─┬▶ close what is wanted elsewhere ─idle─▶ release
//!             live on, say, hear all         │     └▶ epochs ─▶ claim what is free ─▶ raise (compare-and-set) ─▶ plan
//!                                            └ domain/ownership: all compute the same from the same statuses
//!
//!   trust:       asked ├───────────── ttl ─────────────┤           counted from before the asking
//!   membership:       granted ├───────────── ttl ─────────────┤    so it always ends later
//!   leases:      ───────────────────────────────────────────────────── a part extended each time: end later still
//! ```
//!
//! # Why
//!
//! - *Postgres first, by a write*: a worker that can't write lets its membership run out and starves no shard
//!   (`membership/writes.rs`).
//! - *Leases last as long as the membership*: `lua/claim.lua` gives away those of whoever is no member. So a heartbeat need
//!   not extend thousands of them to keep them, and looks at a part each time (`domain/lease_rotation.rs`).
//! - *What is dropped is given back*: by a worker that lives on, for its leases would keep others out.
//! - *The epoch is read before the lease is asked for, and raised on that value*: of two that both believe in a lease only
//!   one raises.
//! - *Closing before releasing*: what is on its way of a shard that goes is settled first, so a hand-over doubles nothing
//!   and leaves nothing uncertain; the shards that stay are not touched.
//! - *Two heartbeats of patience*: a worker that is new, or that Redis forgot, first takes only the shards that Postgres
//!   says were its own. So a Redis that comes back empty moves nothing, and a fleet that starts together shares before
//!   anybody takes all. Until then the others count it, keep its share free for it, and give nothing up for it.
//!
//! # What fails
//!
//! - *This worker dies*: its membership runs out within a TTL; at their next heartbeat the others share its shards.
//! - *It stops in order*: all its shards are closing; each is given back as soon as nothing of it is on its way.
//! - *It sleeps past its time*: its clock runs on meanwhile, so nothing is started after it wakes; its next heartbeat finds
//!   that it was no member, so all is lost, whatever the leases say. Mails before their dot are given up; a reserve that was
//!   under way meets the new epoch.
//! - *Redis forgets everything*: the heartbeat finds nothing; shards are dropped, and taken anew with a new epoch.
//! - *An answer is lost*: nothing is believed; the trust runs out if the next ones are lost too. The next that is heard has
//!   looked at all leases.
//! - *Redis was set back by less than a TTL*, by a failover: the lease of a shard that was handed over meanwhile may name
//!   its old owner, who does not know; then nobody has that shard until the lease ends.
//! - *The epoch was passed while the lease holds* (Redis was set back, the shards were counted anew): read, raised again.
//! - *Snapshots differ*: two may want one shard, one gets the lease; nobody may, until the next heartbeat.
//! - *Another worker took this one's name*, after Redis forgot both: this one says that it is replaced, so that the others
//!   share its part, and takes none until the name is free.
//! - *Another fleet, with another database, beats under the same keys*: who came first stays. The other drops its shards,
//!   takes none and does not lead, until it is alone.
//! - *The clock is far off Redis'*: no shard is taken, those held go to whoever lives.

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

/// A worker whose clock is further off than this takes no shards.
const SKEW_ALLOWED: Duration = Duration::from_secs(30);

/// How soon the next heartbeat comes while shards are on their way, to us or from us, or after one that failed.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How many heartbeats a new member leaves to the others what was not its own.
const PATIENCE: u32 = 2;

pub(super) struct Membership {
    ports: Ports,
    settings: Arc<WorkerSettings>,
    run: RunId,
    seat: LeaseKey,
    holdings: Arc<OwnedShards>,
    unsettled: Arc<InFlight>,
    vitals: Arc<WorkerStats>,
    clock_watch: Arc<ClockWatch>,
    /// No other run has this worker's name, or its solo lease.
    is_seated: bool,
    set_back: Arc<SetBackWatch>,
    /// Since when this run has been a member without a gap.
    member_since: Option<MachineTime>,
    /// Which leases are due at the next heartbeat.
    turns: LeaseRotation,
    /// Shards that are ours no more, and whose leases may still name this run.
    dropped: BTreeSet<ShardId>,
    /// The state in the last heartbeat that Postgres took.
    written_state: &'static str,
    /// What the last heartbeat failed for, if it did.
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

    /// Lets it look at whether the database was set back, for all who ask `set_back`.
    pub(super) fn watching(self, set_back: Arc<SetBackWatch>) -> Membership {
        Membership { set_back, ..self }
    }

    /// Keeps the shards until `keeping` is cancelled, then gives them back. After `stop` no new ones are taken, and a
    /// worker of a fleet hands over those it has.
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
                    // A service that is back is to be found soon, and what it cost taken again.
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

    /// One heartbeat. Returns whether shards are on their way, to us or from us.
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

    /// What this worker says of itself.
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

    /// Beats, if Postgres takes a write: what is still ours is trusted on, what was lost is dropped. Returns who lives, and how
    /// long this worker may believe that it does.
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
        // Taken: should this heartbeat not be heard, all leases are due at the next.
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

    /// Among members of another fleet no shard is ours.
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

    /// Trusts what is still ours, drops what was lost, and returns what is ours under an epoch that was passed, with the
    /// one that stands now. Who was no member has lost all, what is not due and what is named in its leases too.
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

    /// A worker whose clock is off would plan the wrong hour. A clock of its own making is not compared.
    ///
    /// Returns the question's own failure, and in it what is wrong with the clock.
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
            // Postgres or Redis is away: the stop does not wait for it.
            return;
        }
        if let Err(error) = self.ports.ledger.heartbeat(&self.ledger_heartbeat(Vec::new(), "stopped")).await {
            tracing::debug!(%error, "the last heartbeat was not written: `warmup status` calls this worker silent for an hour");
        }
    }
}

#[cfg(test)]
mod tests;
