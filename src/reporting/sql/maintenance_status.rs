//! What keeps the fleet going beside its mails, for what watches it.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};

/// What is counted on by all workers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Upkeep {
    /// All that there are, whoever holds them.
    pub shards: i64,
    /// When a date's duties were last finished.
    pub duties_done: Option<DateTime<Utc>>,
}

/// Reads it.
pub async fn upkeep(pool: &PgPool) -> Result<Upkeep, sqlx::Error> {
    const UPKEEP: &str = "
        SELECT (SELECT count(*) FROM shards) AS shards, 
               -- Not what a wrong clock finished ahead of time.
               (SELECT max(finished_at) FROM cleanups WHERE finished_at <= clock_timestamp()) AS duties_done";
    sqlx::query_as(UPKEEP).fetch_one(pool).await
}
