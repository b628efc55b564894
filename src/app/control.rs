//! Orders to the whole fleet: start, stop, trigger. Whoever gives one writes the row that lasts, then rings the bell.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use thiserror::Error;
use utoipa::ToSchema;

use super::world;
use crate::{
    adapters::{postgres::PostgresOrders, redis::RedisBell},
    config::Settings,
    ports::{Bell, Clock, Orders, PortError, Ring},
};

/// Why an order was not given.
#[derive(Debug, Error)]
pub enum ControlError {
    #[error("the fleet is stopped, and a stopped fleet plans nothing: start it first")]
    Stopped,
    #[error("no worker can be told, because Redis does not answer ({0}): start Redis, or wait for the next tick")]
    Silent(PortError),
    #[error("the order can't be written: {0}")]
    Ledger(#[from] PortError),
}

/// What an order came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ordered {
    /// The order that stands now.
    pub running: bool,
    /// Whether it was another one before.
    pub changed: bool,
    /// Whether the bell was rung. Workers that hear nothing obey at their next heartbeat; none starts a mail meanwhile.
    pub announced: bool,
    /// Why not, for people.
    #[serde(skip)]
    pub silent: Option<String>,
}

/// Gives orders.
pub struct Control {
    orders: PostgresOrders,
    bell: Arc<dyn Bell>,
}

impl Control {
    /// Writes to `database` and rings through the Redis of the settings, which need not answer now.
    pub fn new(settings: &Settings, database: PgPool, clock: Arc<dyn Clock>) -> anyhow::Result<Control> {
        let pool = world::redis(settings, 1)?;
        let bell = RedisBell::new(pool, &settings.redis_prefix, clock);
        Ok(Control { orders: PostgresOrders::new(database), bell: Arc::new(bell) })
    }

    /// Lets the fleet send, or stops it. It stays so, also over a restart of everything, until the next order.
    pub async fn order(&self, running: bool, by: &str, now: DateTime<Utc>) -> Result<Ordered, ControlError> {
        let changed = self.orders.order(running, by, now).await?;
        let silent = self.bell.ring(Ring::Ordered).await.err().map(|error| {
            tracing::warn!(%error, "the order stands, but the bell can't be rung");
            error.to_string()
        });
        Ok(Ordered { running, changed, announced: silent.is_none(), silent })
    }

    /// Lets all workers plan at once.
    ///
    /// Returns `Stopped` where the standing order forbids it, `Silent` where no worker can be told.
    pub async fn trigger(&self) -> Result<(), ControlError> {
        if !self.orders.running().await? {
            return Err(ControlError::Stopped);
        }
        self.bell.ring(Ring::Trigger).await.map_err(ControlError::Silent)
    }
}
