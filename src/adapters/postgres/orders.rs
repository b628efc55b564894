//! The fleet's standing order in Postgres: one row, and an event for each change.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{PgPool, Row, postgres::PgRow};

use super::{classify::classify, session::Session};
use crate::{
    domain::id::ShardId,
    ports::{Orders, PortError},
};

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

    async fn plan_requests(&self) -> Result<Vec<(ShardId, i64)>, PortError> {
        // A worker that was cut off for longer has missed a tick, and plans all.
        const REQUESTS: &str = "
            SELECT shard, requests FROM plan_requests WHERE requested_at > clock_timestamp() - interval '10 minutes'";
        let rows = self.session.rows(|| sqlx::query(REQUESTS)).await?;
        let request = |row: &PgRow| Ok((ShardId(row.try_get(0)?), row.try_get(1)?));
        rows.iter().map(request).collect::<Result<_, sqlx::Error>>().map_err(classify)
    }
}
