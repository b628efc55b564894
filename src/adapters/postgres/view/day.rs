//! What the batches sent when.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Returns the mails that were sent in each quarter of an hour from `since` until `now`, by their batches; those without
/// any are left out.
pub async fn quarters(
    pool: &PgPool,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<(DateTime<Utc>, i64)>, sqlx::Error> {
    const QUARTERS: &str = "
        SELECT date_bin('15 minutes', started_at, 'epoch') AS quarter, sum(sent - replied)::bigint
        FROM batches WHERE started_at >= $1 AND started_at <= $2 GROUP BY quarter ORDER BY quarter";
    sqlx::query_as(QUARTERS).bind(since).bind(now).fetch_all(pool).await
}
