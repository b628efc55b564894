//! `PlanningStore` reads the data of a tick: the mailboxes of the owned shards, their due replies and the day's roster.
//!
//! It also closes the past days of the mailboxes and creates or refreshes the roster.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::error::PortError;
use crate::domain::{id::ShardId, pairing::RosterEntry, plan::Candidate, reply::DueReply, time::LocalDates};

/// The roster of a day in its present version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The version, from 1 on; each refresh increments it.
    pub version: i32,
    /// The mailboxes, ordered by user, domain, id.
    pub members: Vec<RosterEntry>,
}

/// The enrolled mailboxes as the planner sees them.
#[async_trait]
pub trait PlanningStore: Send + Sync {
    /// Closes the past days of the mailboxes in `shards`, each exactly once, and opens their today. A day raises the
    /// ramp by one step if at least half of its quota was sent. A day that fell short of its quota is marked `late`.
    /// Returns the number of closed days.
    async fn roll_over_days(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<u64, PortError>;

    /// Returns the mailboxes of `shards` that may send at `now`, ordered by id.
    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &LocalDates,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError>;

    /// Returns the replies of the mailboxes of `shards` that are due before `before`, the earliest first. Replies that
    /// expired by `now` lapse with reason `late`.
    async fn due_replies(
        &self,
        shards: &[ShardId],
        now: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<DueReply>, PortError>;

    /// Returns the roster of `day`, or `None` if its version is `known`. The first caller creates it: all enabled
    /// mailboxes that have a window on that weekday and can receive, with their quotas at that moment. The first caller
    /// after more changes than `domain::roster` allows refreshes it, as a new version and with an event. Two concurrent
    /// callers create one version.
    async fn roster(&self, day: NaiveDate, now: DateTime<Utc>, known: Option<i32>)
    -> Result<Option<Roster>, PortError>;
}
