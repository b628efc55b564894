//! `PostgresOrders` stores the fleet order in Postgres: one row, and an event for each change.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{PgPool, Row, postgres::PgRow};

use super::{classify::classify, session::Session};
use crate::{
    domain::id::{ShardId, WorkerId},
    ports::{FleetControl, PortError},
};

/// `PostgresOrders` reads and changes the fleet order.
#[derive(Clone, Debug)]
pub struct PostgresOrders {
    session: Session,
}

impl PostgresOrders {
    /// Creates a store that works through `pool`.
    pub fn new(pool: PgPool) -> PostgresOrders {
        PostgresOrders { session: Session::brief(pool) }
    }

    /// Orders the fleet to run or to stop. Returns whether the order changed.
    pub async fn order(&self, running: bool, by: &str, now: DateTime<Utc>) -> Result<bool, PortError> {
        const ORDER: &str = "
            WITH changed AS (
                UPDATE fleet_orders SET running = $1, ordered_by = $2, ordered_at = $3
                WHERE running <> $1 AND NOT ($1 AND set_back_at IS NOT NULL)
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

    /// Starts the fleet on a database that was fenced after a set-back. Returns false, and changes nothing, if the
    /// database was not fenced, or if a mailbox was enrolled since.
    pub async fn start_fenced(&self, by: &str, now: DateTime<Utc>) -> Result<bool, PortError> {
        const START: &str = "
            WITH started AS (
                UPDATE fleet_orders o
                SET running = true, ordered_by = $1, ordered_at = $2, set_back_at = NULL, set_back = NULL, fenced_at = NULL
                WHERE o.fenced_at IS NOT NULL AND NOT EXISTS (
                    SELECT FROM mailboxes m
                    WHERE m.state <> 'removed' AND NOT EXISTS (
                        SELECT FROM mailbox_days d
                        WHERE d.mailbox_id = m.id AND d.closed AND d.reason = 'fenced'
                          AND d.day >= (o.fenced_at AT TIME ZONE 'UTC')::date - 1
                    )
                )
                RETURNING o.id
            ),
            told AS (
                INSERT INTO events (at, kind, reason, detail)
                SELECT $2, 'fleet-started', 'operator', 'after a restore, by ' || $1 FROM started
            )
            SELECT count(*) FROM started";
        let build = || sqlx::query(START).bind(by.to_owned()).bind(now);
        let started: i64 = self.session.row(build).await?.try_get(0).map_err(classify)?;
        Ok(started > 0)
    }

    /// Returns the evidence of a set-back that no start after a fence has ended yet; `None` without a set-back.
    pub async fn set_back(&self) -> Result<Option<String>, PortError> {
        const SET_BACK: &str = "SELECT CASE WHEN set_back_at IS NOT NULL THEN set_back END FROM fleet_orders";
        self.session.row(|| sqlx::query(SET_BACK)).await?.try_get(0).map_err(classify)
    }
}

#[async_trait]
impl FleetControl for PostgresOrders {
    async fn running(&self) -> Result<bool, PortError> {
        let row = self.session.row(|| sqlx::query("SELECT running FROM fleet_orders")).await?;
        row.try_get(0).map_err(classify)
    }

    async fn plan_requests(&self) -> Result<Vec<(ShardId, i64)>, PortError> {
        // A worker that was cut off for longer has missed a tick, and then plans all its mailboxes.
        const REQUESTS: &str = "
            SELECT shard, requests FROM plan_requests WHERE requested_at > clock_timestamp() - interval '10 minutes'";
        let rows = self.session.rows(|| sqlx::query(REQUESTS)).await?;
        let request = |row: &PgRow| Ok((ShardId(row.try_get(0)?), row.try_get(1)?));
        rows.iter().map(request).collect::<Result<_, sqlx::Error>>().map_err(classify)
    }

    async fn stop_set_back(&self, worker: &WorkerId, sentence: &str, now: DateTime<Utc>) -> Result<(), PortError> {
        const STOP: &str = "
            WITH stopped AS (
                UPDATE fleet_orders
                SET running = false, ordered_by = 'worker ' || $1 || ': ' || $2, ordered_at = $3, set_back_at = $3, set_back = $2,
                    fenced_at = NULL
                WHERE set_back_at IS NULL OR fenced_at IS NOT NULL
                RETURNING id
            ),
            told AS (
                INSERT INTO events (at, kind, worker_id, reason, detail)
                SELECT $3, 'fleet-stopped', $1, 'set-back', $2 FROM stopped
            )
            SELECT count(*) FROM stopped";
        let build = || sqlx::query(STOP).bind(worker.0.clone()).bind(sentence.to_owned()).bind(now);
        self.session.row(build).await.map(drop)
    }
}
