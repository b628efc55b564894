//! The fleet's standing order in Postgres: one row, and an event for each change.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{PgPool, Row};

use super::{classify::classify, session::Session};
use crate::ports::{Orders, PortError};

/// The standing order.
#[derive(Clone, Debug)]
pub struct PostgresOrders {
    session: Session,
}

impl PostgresOrders {
    /// Reads through `pool`.
    pub fn new(pool: PgPool) -> PostgresOrders {
        PostgresOrders { session: Session::brief(pool) }
    }

    /// Orders the fleet to run or to stop. Returns whether that changed anything.
    pub async fn order(&self, running: bool, by: &str, now: DateTime<Utc>) -> Result<bool, PortError> {
        const ORDER: &str = "
            WITH changed AS (
                UPDATE fleet_orders SET running = $1, ordered_by = $2, ordered_at = $3 WHERE running <> $1
                RETURNING running
            ),
            told AS (
                INSERT INTO events (at, kind, reason, detail)
                SELECT $3, CASE WHEN running THEN 'fleet-started' ELSE 'fleet-stopped' END, 'operator', 'by ' || $2
                FROM changed
            )
            SELECT count(*) FROM changed";
        let build = || sqlx::query(ORDER).bind(running).bind(by.to_owned()).bind(now);
        let changed: i64 = self.session.row(build).await?.try_get(0).map_err(classify)?;
        Ok(changed > 0)
    }
}

#[async_trait]
impl Orders for PostgresOrders {
    async fn running(&self) -> Result<bool, PortError> {
        let row = self.session.row(|| sqlx::query("SELECT running FROM fleet_orders")).await?;
        row.try_get(0).map_err(classify)
    }
}
