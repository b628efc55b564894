//! `MembershipStore` stores the live workers of the fleet with their statuses, and extends their memberships.
//!
//! A membership lasts for the TTL from each heartbeat. The leases of a member on shards bind other workers as long as
//! the membership, and no longer. They are extended beyond its end, a part of them at each heartbeat. A member may
//! claim the leases of runs that are not members.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{error::PortError, leases::LeaseKey};
use crate::domain::{
    id::{FleetId, RunId, ShardId, WorkerId},
    ledger_mark::LedgerMark,
    shard_set::ShardSet,
};

/// The status that a worker reports at each heartbeat.
///
/// It is stored as a map with these names. During an upgrade several versions run: a reader ignores unknown names, and
/// a missing name has the value of `MemberStatus::default()`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberStatus {
    pub id: WorkerId,
    pub host: String,
    pub version: String,
    /// The number of shards that the worker owns.
    pub shards: u16,
    pub lanes: u32,
    /// The number of mailboxes that owe a mail until the next tick.
    pub queue_size: u32,
    /// The number of mails in flight.
    pub active_sends: u32,
    /// The time of the last successful tick. Day clock.
    pub last_tick: Option<DateTime<Utc>>,
    /// The number of failed ticks in a row.
    pub consecutive_failures: u32,
    /// The state for operators, for example `starting`, `running`, `benched` or `draining`.
    pub state: String,
    /// The shards that the worker owns.
    pub held: ShardSet,
    /// The fleet's number of shards in the settings of the worker; 0 if it does not report it.
    pub fleet_shards: u16,
    /// The fleet of the worker; empty if it does not report it.
    pub fleet: FleetId,
    /// True if the worker runs in solo mode.
    pub solo: bool,
    /// True if the worker may get shards: it does not stop, its clock is right, and its ticks succeed.
    #[serde(rename = "takes")]
    pub accepts_shards: bool,
    /// True if the worker is established. Only then do the others release shards for it.
    #[serde(rename = "settled")]
    pub is_established: bool,
}

impl Default for MemberStatus {
    /// Returns the status of a live worker that reports nothing.
    fn default() -> MemberStatus {
        MemberStatus {
            id: WorkerId(String::new()),
            host: String::new(),
            version: String::new(),
            shards: 0,
            lanes: 0,
            queue_size: 0,
            active_sends: 0,
            last_tick: None,
            consecutive_failures: 0,
            state: String::new(),
            held: ShardSet::default(),
            fleet_shards: 0,
            fleet: FleetId::default(),
            solo: false,
            accepts_shards: true,
            is_established: true,
        }
    }
}

/// A live run of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub run: RunId,
    /// The end of the membership without another heartbeat, in milliseconds by the service's clock. A later heartbeat
    /// has a later end.
    pub until: i64,
    pub status: MemberStatus,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// True if the run was a member until now. False at its first heartbeat, and after the service lost the membership
    /// or let it expire. The run then holds no lease on a shard, whatever earlier answers said.
    pub was_member: bool,
    /// True if the exclusive lease was still held. An expired lease is not acquired again.
    pub has_exclusive_lease: bool,
    /// For each due shard, in the order of the request: true if the run was a member and still held its lease. An
    /// expired lease is not acquired again.
    pub still_held: Vec<bool>,
    /// All members including this worker, ordered by run.
    pub members: Vec<Member>,
}

/// The live workers, in Redis or, for the simulation, in memory.
#[async_trait]
pub trait MembershipStore: Send + Sync {
    /// Extends the membership of `run` to `ttl` from now, with `status`, and drops expired members. Extends the
    /// exclusive lease `seat`, if the run still holds it, to the same end. If the run was a member until now, it
    /// extends the leases on `due` shards that the run still holds to `lease_rotation::lease_length` from now. The call
    /// is one atomic step, for any number of leases.
    ///
    /// Returns `Unavailable` or `Unknown` when no answer came; the caller must assume that nothing was extended.
    /// Returns `Lost`, without any change, while members of another fleet are present. The fleet that came first stays.
    async fn heartbeat(
        &self,
        run: RunId,
        status: &MemberStatus,
        seat: LeaseKey,
        due: &[ShardId],
        ttl: Duration,
    ) -> Result<HeartbeatReply, PortError>;

    /// Takes the lease on each of `shards` that is free, already `run`'s, or held by a run that is not a member, for
    /// `ttl`. Returns for each, in order, whether `run` now holds it. The call is one atomic step.
    ///
    /// Returns `Unavailable` or `Unknown` when no answer came; the caller must assume that it holds no new lease.
    async fn claim(&self, run: RunId, shards: &[ShardId], ttl: Duration) -> Result<Vec<bool>, PortError>;

    /// Returns all members, ordered by run, without any change.
    async fn members(&self) -> Result<Vec<Member>, PortError>;

    /// Ends the membership of `run`. `Leases::release` releases its leases.
    async fn leave(&self, run: RunId) -> Result<(), PortError>;

    /// Merges `mark` with the stored mark of the database's progress, and returns the merged mark. `identity` is the
    /// part of the fleet's identity that a restored database shares.
    async fn merge_mark(&self, identity: &str, mark: &LedgerMark) -> Result<LedgerMark, PortError>;
}
