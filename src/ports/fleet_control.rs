//! `FleetControl` reads the fleet order, and `Bell` sends notifications of its changes to all workers.
//!
//! The fleet order is a stored row (running or stopped) that each reserve checks. A stopped fleet therefore sends
//! nothing, even if a worker missed the notification. The notification only makes all workers react within a second,
//! not at their next heartbeat.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::error::PortError;
use crate::domain::id::{ShardId, WorkerId};

/// A notification to all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification {
    /// The fleet order may have changed: read it.
    Ordered,
    /// Plan now, without waiting for the tick.
    Trigger,
}

impl Notification {
    /// All notifications, for tables and tests.
    pub const ALL: [Notification; 2] = [Notification::Ordered, Notification::Trigger];

    /// Returns the name of the notification in Redis.
    pub fn as_str(self) -> &'static str {
        match self {
            Notification::Ordered => "ordered",
            Notification::Trigger => "trigger",
        }
    }
}

/// The fleet order and the requests of operators to all workers.
#[async_trait]
pub trait FleetControl: Send + Sync {
    /// Returns whether the fleet should send.
    async fn running(&self) -> Result<bool, PortError>;

    /// Returns the shards to plan before the next tick, each with a number that grows with every request. A request is
    /// returned for at least ten minutes.
    async fn plan_requests(&self) -> Result<Vec<(ShardId, i64)>, PortError>;

    /// Stops the fleet because the database was set back, with `sentence` as the reason. Only a fence lets it start
    /// again. Repeatable.
    async fn stop_set_back(&self, worker: &WorkerId, sentence: &str, now: DateTime<Utc>) -> Result<(), PortError>;
}

/// The notifications to all workers.
#[async_trait]
pub trait Bell: Send + Sync {
    /// Waits for the next notification. A listener that begins, or that reconnects after an interruption, receives
    /// `Ordered` first, because it may have missed a notification.
    async fn next(&self) -> Notification;

    /// Sends `ring` to all workers that listen.
    ///
    /// Returns `Unavailable` when no worker can have received it.
    async fn ring(&self, ring: Notification) -> Result<(), PortError>;
}
