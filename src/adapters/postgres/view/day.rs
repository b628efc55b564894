//! The day as a line: what each window's mailboxes owe and sent, and what the batches sent when.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};

use super::{
    clocks::{Clocks, judged},
    quota::bound,
};
use crate::domain::id::UserId;

/// Mailboxes whose windows are the same span today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct WindowSums {
    pub opens: DateTime<Utc>,
    pub closes: DateTime<Utc>,
    /// What those owe that take part.
    pub quota: i64,
    /// What all of them sent today, in this hour, and in the one before.
    pub sent: i64,
    pub hour_sent: i64,
    pub hour_before: i64,
}

/// Sums the todays of the mailboxes of `user`, or of all, window by window.
pub async fn by_window(
    pool: &PgPool,
    user: Option<UserId>,
    now: DateTime<Utc>,
) -> Result<Vec<WindowSums>, sqlx::Error> {
    const SUMS: &str = concat!(
        judged!(),
        "SELECT opens, closes,
                coalesce(sum(quota) FILTER (
                    WHERE enabled AND (state = 'active' OR state = 'paused' AND paused_until IS NOT NULL)), 0)::bigint
                    AS quota,
                sum(sent)::bigint AS sent,
                coalesce(sum(hour_sent) FILTER (WHERE hour = date_trunc('hour', $10, 'UTC')), 0)::bigint AS hour_sent,
                coalesce(sum(CASE WHEN hour = date_trunc('hour', $10, 'UTC') THEN hour_before
                                  WHEN hour = date_trunc('hour', $10, 'UTC') - interval '1 hour' THEN hour_sent END), 0)::bigint
                    AS hour_before
         FROM judged GROUP BY opens, closes ORDER BY opens, closes"
    );
    bound(sqlx::query_as(SUMS), Clocks::at(pool, now).await?, user).bind(now).fetch_all(pool).await
}

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
