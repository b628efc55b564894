//! `upkeep` reads the progress of the maintenance, for monitoring.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};

/// `Upkeep` holds the facts that all workers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Upkeep {
    /// The number of all shards, whether owned or not.
    pub shards: i64,
    /// The time at which the maintenance of a date was last finished.
    pub duties_done: Option<DateTime<Utc>>,
}

/// Reads the number of shards and the end of the last maintenance.
pub async fn upkeep(pool: &PgPool) -> Result<Upkeep, sqlx::Error> {
    const UPKEEP: &str = "
        SELECT (SELECT count(*) FROM shards) AS shards, 
               -- Not what a wrong clock finished ahead of time.
               (SELECT max(finished_at) FROM cleanups WHERE finished_at <= clock_timestamp()) AS duties_done";
    sqlx::query_as(UPKEEP).fetch_one(pool).await
}
