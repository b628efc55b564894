//! `quarters` reads the mails sent in each quarter of an hour.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Returns the mails sent in each quarter of an hour from `since` until `now`, by their batches, from the last
/// snapshot. Quarters without mails are missing.
pub async fn quarters(
    pool: &PgPool,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<(DateTime<Utc>, i64)>, sqlx::Error> {
    const QUARTERS: &str = "SELECT at, mails FROM quarters WHERE at >= $1 AND at <= $2 ORDER BY at";
    sqlx::query_as(QUARTERS).bind(since).bind(now).fetch_all(pool).await
}
