//! Members: which workers live, what each says of itself, and the one call by which a worker lives on.
//!
//! A member lives for a TTL from each heartbeat. Its leases on shards bind others as long as it lives, and no longer: they
//! are extended beyond its end, a part of them at each heartbeat, and whoever lives may claim those of the dead.

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

/// What a worker says of itself at each heartbeat.
///
/// It travels as a map with these names. Versions mix during an upgrade: names that a reader does not know are passed
/// over, names that a writer does not know yet have the value of `MemberStatus::default()`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberStatus {
    pub id: WorkerId,
    pub host: String,
    pub version: String,
    /// How many shards it holds.
    pub shards: u16,
    pub lanes: u32,
    /// Mailboxes that owe a mail until the next tick.
    pub queue_size: u32,
    /// Mails on their way.
    pub active_sends: u32,
    /// Day clock.
    pub last_tick: Option<DateTime<Utc>>,
    /// Ticks that failed in a row.
    pub consecutive_failures: u32,
    /// A word for people: `starting`, `running`, `benched`, `draining`.
    pub state: String,
    /// Which shards it holds.
    pub held: ShardSet,
    /// How many shards the fleet has, as its settings say; 0 when it does not say.
    pub fleet_shards: u16,
    /// Which fleet it belongs to; nothing when it does not say.
    pub fleet: FleetId,
    /// It works alone, by the solo lease.
    pub solo: bool,
    /// It is to have its share: not one that stops, whose clock is off, or whose ticks fail.
    #[serde(rename = "takes")]
    pub accepts_shards: bool,
    /// It has been here long enough to know the others: only then do they give shards up for it.
    #[serde(rename = "settled")]
    pub is_established: bool,
}

impl Default for MemberStatus {
    /// A worker of which nothing is known but that it lives.
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

/// A worker that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub run: RunId,
    /// When it is over unless it beats again, in milliseconds by the service's clock. Who beat later has a later end.
    pub until: i64,
    pub status: MemberStatus,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// Whether the worker was a member until now: false at its first heartbeat, and after the service lost or outlived
    /// it. Then none of its leases on shards is its own any more, whatever it was told before.
    pub was_member: bool,
    /// Whether the seat was still held. One that ran out is not taken again.
    pub has_exclusive_lease: bool,
    /// For each shard that was due, in the order of the question, whether its lease was still held, by a run that was
    /// `was_member`. One that ran out is not taken again.
    pub still_held: Vec<bool>,
    /// All members, this worker among them, ordered by run.
    pub members: Vec<Member>,
}

/// Who lives, in Redis, or in memory for the simulation.
#[async_trait]
pub trait MembershipStore: Send + Sync {
    /// Keeps `run` a member for `ttl` from now, with `status`; extends `seat`, if it still holds it, to the same end, and
    /// if it was a member until now those leases on shards of `due` that it still holds to `turns::lease_length` from
    /// now; drops members whose time is over. One atomic step, however many leases there are.
    ///
    /// Returns `Unavailable` or `Unknown` when the answer did not come; the caller must assume that nothing was renewed.
    /// Returns `Lost` while members of another fleet live here, and changes nothing then. Who comes first stays.
    async fn heartbeat(
        &self,
        run: RunId,
        status: &MemberStatus,
        seat: LeaseKey,
        due: &[ShardId],
        ttl: Duration,
    ) -> Result<HeartbeatReply, PortError>;

    /// Takes the lease on each of `shards` that is free, already `run`'s, or whose owner is no member any more, for `ttl`.
    /// Returns for each, in order, whether `run` holds it now. One atomic step.
    ///
    /// Returns `Unavailable` or `Unknown` when the answer did not come; the caller must assume that it holds nothing
    /// new.
    async fn claim(&self, run: RunId, shards: &[ShardId], ttl: Duration) -> Result<Vec<bool>, PortError>;

    /// Returns all members, ordered by run, and changes nothing.
    async fn members(&self) -> Result<Vec<Member>, PortError>;

    /// Ends the membership of `run`. Its leases are given back by `Leases::release`.
    async fn leave(&self, run: RunId) -> Result<(), PortError>;

    /// Merges `mark` with the fleet's mark of how far the database had come, and returns the merged one. `identity` is the
    /// part of the fleet's identity that a restored database has too.
    async fn merge_mark(&self, identity: &str, mark: &LedgerMark) -> Result<LedgerMark, PortError>;
}
