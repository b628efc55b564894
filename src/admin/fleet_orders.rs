//! `FleetOrders` gives orders to the whole fleet: start, stop, trigger and fence.
//!
//! An order is a row in Postgres, which lasts. A notification through Redis then tells the workers, which
//! otherwise read the row at their next heartbeat.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use thiserror::Error;
use utoipa::ToSchema;

use crate::{
    adapters::{
        from_settings,
        postgres::{Fenced, PostgresFence, PostgresOrders},
        redis::RedisNotifier,
    },
    config::Settings,
    ports::{Bell, Clock, FleetControl, Notification, PortError},
};

/// The reasons why an order was not given.
#[derive(Debug, Error)]
pub enum ControlError {
    #[error("the fleet is stopped, and a stopped fleet plans nothing: start it first")]
    Stopped,
    #[error("no worker can be told, because Redis does not answer ({0}): start Redis, or wait for the next tick")]
    Silent(PortError),
    #[error(
        "the fleet was not started, because {0}. Run `warmup fleet fence`, which closes today for every mailbox, then \
         `warmup fleet start --after-restore`"
    )]
    SetBack(String),
    #[error("the order can't be written: {0}")]
    Ledger(#[from] PortError),
}

/// The result of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Ordered)]
#[serde(rename_all = "camelCase")]
pub struct OrderResult {
    /// True if the fleet may send now.
    pub running: bool,
    /// True if the order before was another one.
    pub changed: bool,
    /// True if the workers were notified. A worker that was not notified obeys at its next heartbeat; none starts a
    /// mail meanwhile.
    pub announced: bool,
    /// The reason why the workers were not notified, for people.
    #[serde(skip)]
    pub silent: Option<String>,
}

/// `FleetOrders` writes orders to Postgres and announces them through Redis.
pub struct FleetOrders {
    orders: PostgresOrders,
    fence: PostgresFence,
    bell: Arc<dyn Bell>,
}

impl FleetOrders {
    /// Returns orders for `database` that announce through the Redis of the settings. Redis need not answer now.
    pub fn new(settings: &Settings, database: PgPool, clock: Arc<dyn Clock>) -> anyhow::Result<FleetOrders> {
        let pool = from_settings::redis(settings, 1)?;
        let bell = RedisNotifier::new(pool, &settings.redis_prefix, clock);
        let fence = PostgresFence::new(database.clone());
        Ok(FleetOrders { orders: PostgresOrders::new(database), fence, bell: Arc::new(bell) })
    }

    /// Starts or stops the fleet. The order holds until the next one, also across a restart of all processes.
    ///
    /// Returns `SetBack` for a start while the database counts as set back.
    pub async fn order(&self, running: bool, by: &str, now: DateTime<Utc>) -> Result<OrderResult, ControlError> {
        if running && let Some(sentence) = self.orders.set_back().await? {
            return Err(ControlError::SetBack(sentence));
        }
        let changed = self.orders.order(running, by, now).await?;
        Ok(self.announce(running, changed).await)
    }

    /// Starts the fleet after `fence`.
    ///
    /// Returns `SetBack` if today is not closed for every mailbox.
    pub async fn start_after_restore(&self, by: &str, now: DateTime<Utc>) -> Result<OrderResult, ControlError> {
        if !self.orders.start_fenced(by, now).await? {
            let unfenced = "today is not closed for every mailbox".to_owned();
            return Err(ControlError::SetBack(self.orders.set_back().await?.unwrap_or(unfenced)));
        }
        Ok(self.announce(true, true).await)
    }

    /// Closes today for every mailbox of a database that was set back, and stops the fleet.
    pub async fn fence(&self, by: &str, now: DateTime<Utc>) -> Result<Fenced, ControlError> {
        let fenced = self.fence.fence(by, now).await?;
        self.announce(false, true).await;
        Ok(fenced)
    }

    async fn announce(&self, running: bool, changed: bool) -> OrderResult {
        let silent = self.bell.ring(Notification::Ordered).await.err().map(|error| {
            tracing::warn!(%error, "the order stands, but the bell can't be rung");
            error.to_string()
        });
        OrderResult { running, changed, announced: silent.is_none(), silent }
    }

    /// Triggers a tick of all workers at once.
    ///
    /// Returns `Stopped` if the fleet is stopped, and `Silent` if Redis can't notify the workers.
    pub async fn trigger(&self) -> Result<(), ControlError> {
        if !self.orders.running().await? {
            return Err(ControlError::Stopped);
        }
        self.bell.ring(Notification::Trigger).await.map_err(ControlError::Silent)
    }
}
