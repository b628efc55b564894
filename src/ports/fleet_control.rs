//! Orders to the whole fleet: a standing one (may it send?), and the bell by which workers hear of it at once.
//!
//! The standing order is a row that lasts; every reserve reads it, so a stopped fleet sends nothing whoever missed the
//! bell. The bell is a courtesy: it makes all workers obey within a second, not only at their next look.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::error::PortError;
use crate::domain::id::{ShardId, WorkerId};

/// What the bell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification {
    /// The standing order may have changed: read it.
    Ordered,
    /// Plan now, without waiting for the tick.
    Trigger,
}

impl Notification {
    /// Every ring, for tables and tests.
    pub const ALL: [Notification; 2] = [Notification::Ordered, Notification::Trigger];

    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Notification::Ordered => "ordered",
            Notification::Trigger => "trigger",
        }
    }
}

/// The standing order.
#[async_trait]
pub trait FleetControl: Send + Sync {
    /// Says whether the fleet is to send.
    async fn running(&self) -> Result<bool, PortError>;

    /// Returns the shards whose mailboxes are to be planned before the next tick, each with a number that grows with every
    /// request. A request is returned for ten minutes at least.
    async fn plan_requests(&self) -> Result<Vec<(ShardId, i64)>, PortError>;

    /// Stops the fleet because the database was set back, which `sentence` says; only a fence lets it start again.
    /// Repeatable.
    async fn stop_set_back(&self, worker: &WorkerId, sentence: &str, now: DateTime<Utc>) -> Result<(), PortError>;
}

/// The bell.
#[async_trait]
pub trait Bell: Send + Sync {
    /// Waits for the next ring. One that was rung while nobody listened is made up for: whoever begins to listen, or
    /// listens again after the line was cut, hears `Ordered` first.
    async fn next(&self) -> Notification;

    /// Rings for all workers that listen.
    ///
    /// Returns `Unavailable` when nobody can have heard it.
    async fn ring(&self, ring: Notification) -> Result<(), PortError>;
}
