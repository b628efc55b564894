//! What a tick reads: the mailboxes of a worker's shards, where each stands today, and the day's roster.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::error::PortError;
use crate::domain::{id::ShardId, pairing::RosterEntry, plan::Candidate, reply::DueReply, time::LocalDates};

/// A day's roster as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Another one after each remake; from 1 on.
    pub version: i32,
    /// Ordered by user, domain, id.
    pub members: Vec<RosterEntry>,
}

/// The enrolled mailboxes as the planner sees them.
#[async_trait]
pub trait PlanningStore: Send + Sync {
    /// Closes the earlier days of the mailboxes in `shards`, each exactly once, and opens their today: a day of which
    /// at least half the quota was sent raises the mailbox's ramp by one; a day that fell short is marked `late`.
    /// Returns how many days closed.
    async fn roll_over_days(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<u64, PortError>;

    /// Reads the mailboxes of `shards` that may send at `now`, ordered by id.
    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError>;

    /// Reads the replies that the mailboxes of `shards` owe and that fall due before `before`, the earliest first. Those
    /// whose time has passed at `now` lapse with reason `late`.
    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError>;

    /// Returns the roster of `day`, unless its version is the `known` one. The first to ask makes it, with the quotas of
    /// that moment, of all enabled mailboxes that have a window on that weekday and are able to receive. It is remade, as
    /// another version and with an event, by the first to ask after more of these joined or left than `domain::roster`
    /// allows; two that ask at once make one version.
    async fn roster(&self, day: NaiveDate, now: DateTime<Utc>, known: Option<i32>)
    -> Result<Option<Roster>, PortError>;
}
