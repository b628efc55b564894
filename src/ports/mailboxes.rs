//! What a tick reads: the mailboxes of a worker's shards, where each stands today, and the day's roster.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::error::PortError;
use crate::domain::{
    id::{MailboxId, ShardId, UserId},
    ramp::Ramp,
    time::{Schedule, Todays},
};

/// A mailbox that may send now (enabled, neither paused nor disabled), with its own today.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub id: MailboxId,
    pub user: UserId,
    pub shard: ShardId,
    pub schedule: Schedule,
    pub ramp: Ramp,
    /// Earlier days that counted for the ramp.
    pub grown: u16,
    /// The date in its own zone at the moment of reading.
    pub day: NaiveDate,
    /// Sent + uncertain + in flight today.
    pub reserved: u16,
    pub sent: u16,
    /// Attempts today; the next partner is the one of level `attempts + 1`. Never goes back.
    pub attempts: u16,
    /// The end of its cooldown.
    pub next_at: Option<DateTime<Utc>>,
    pub last_sent_at: Option<DateTime<Utc>>,
}

/// One line of a day's roster, the stored snapshot from which pairs are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterMember {
    pub mailbox: MailboxId,
    pub user: UserId,
    /// In lower case.
    pub domain: String,
    /// Greater than 0.
    pub quota: u16,
}

/// The enrolled mailboxes as the planner sees them.
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// Closes the earlier days of the mailboxes in `shards`: a day of which at least half the quota was sent raises
    /// the mailbox's ramp by one, exactly once; a day that fell short is marked `late`. Returns how many days closed.
    async fn close_days(&self, shards: &[ShardId], todays: &Todays, now: DateTime<Utc>) -> Result<u64, PortError>;

    /// Reads the mailboxes of `shards` that may send at `now`, ordered by id.
    async fn candidates(
        &self,
        shards: &[ShardId],
        todays: &Todays,
        now: DateTime<Utc>,
    ) -> Result<Vec<Candidate>, PortError>;

    /// Returns the roster of `day`, ordered by user, domain, id. The first to ask makes it, with the quotas of that
    /// moment, of all enabled mailboxes that have a window on that weekday and are able to receive; from then on it
    /// does not change.
    async fn roster(&self, day: NaiveDate, now: DateTime<Utc>) -> Result<Vec<RosterMember>, PortError>;
}
