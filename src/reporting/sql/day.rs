//! What the batches sent when.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Returns the mails that were sent in each quarter of an hour from `since` until `now`, by their batches, as they were counted
/// last; those without any are left out.
pub async fn quarters(
    pool: &PgPool,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<(DateTime<Utc>, i64)>, sqlx::Error> {
    const QUARTERS: &str = "SELECT at, mails FROM quarters WHERE at >= $1 AND at <= $2 ORDER BY at";
    sqlx::query_as(QUARTERS).bind(since).bind(now).fetch_all(pool).await
}
