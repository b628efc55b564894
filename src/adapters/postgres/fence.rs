//! `PostgresFence` fences a database that was set back: the mails sent and lost are unknown, so today ends for every
//! mailbox.
//!
//! Each step is its own transaction and repeatable; the fleet stays stopped until all steps are done.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::{PostgresLedger, classify::classify, session::Session};
use crate::{
    domain::{
        id::{FlightId, RunId, ShardId, WorkerId},
        roster::RECEIVE_MARGIN,
        time::LocalDates,
    },
    ports::{Ledger, PortError, SweepRequest},
};

/// `Fenced` reports the result of a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fenced {
    /// The number of in-flight mails that became uncertain: they may have been sent.
    pub uncertain: u64,
    /// The number of mailboxes whose today is closed.
    pub closed: i64,
    /// The number of due or waiting replies that lapsed: their threads may have been answered.
    pub lapsed: i64,
}

/// `PostgresFence` fences the database.
pub struct PostgresFence {
    pool: PgPool,
    session: Session,
}

impl PostgresFence {
    /// Creates a fence that works through `pool`.
    pub fn new(pool: PgPool) -> PostgresFence {
        PostgresFence { session: Session::new(pool.clone()), pool }
    }

    /// Stops the fleet and raises ids and epochs beyond all earlier ones. Then settles in-flight mails as uncertain,
    /// and closes today for every mailbox in its own zone.
    pub async fn fence(&self, by: &str, now: DateTime<Utc>) -> Result<Fenced, PortError> {
        self.raise(by, now).await?;
        let uncertain = self.settle_flights(now).await?;
        let todays = LocalDates::at(now);
        let build = || {
            sqlx::query(include_str!("sql/fence_days.sql"))
                .bind(todays.zones.clone())
                .bind(todays.days.clone())
                .bind(now)
                .bind(by.to_owned())
                .bind(i32::from(RECEIVE_MARGIN))
        };
        let row = self.session.row(build).await?;
        let (closed, lapsed) = (row.try_get("closed").map_err(classify)?, row.try_get("lapsed").map_err(classify)?);
        Ok(Fenced { uncertain, closed, lapsed })
    }

    /// Stops the fleet and raises the epochs. No reserve succeeds after this: the fleet order and the epochs refuse it.
    async fn raise(&self, by: &str, now: DateTime<Utc>) -> Result<(), PortError> {
        let build = || sqlx::query(include_str!("sql/fence.sql")).bind(by.to_owned()).bind(now);
        self.session.row(build).await.map(drop)
    }

    async fn settle_flights(&self, now: DateTime<Utc>) -> Result<u64, PortError> {
        let rows = self.session.rows(|| sqlx::query("SELECT shard FROM shards ORDER BY shard")).await?;
        let shards: Result<Vec<ShardId>, _> = rows.iter().map(|row| row.try_get(0).map(ShardId)).collect();
        let sweep = SweepRequest {
            worker: WorkerId("fence".to_owned()),
            run: RunId(Uuid::now_v7()),
            shards: shards.map_err(classify)?,
            running: Vec::new(),
            unstarted: Vec::new(),
            newest: FlightId(i64::MAX),
            older_than: Duration::ZERO,
            now,
        };
        Ok(PostgresLedger::new(self.pool.clone(), 1.0).sweep(&sweep).await?.uncertain)
    }
}
