//! How fast the fleet goes, by its batches: nobody reads the log for it.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};

/// What was begun lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Pace {
    /// Mails and replies that were granted in the last hour and in the last minute, without those given back unopened.
    pub hour_used: i64,
    pub minute_used: i64,
    /// Mails that were sent, of the last hour's.
    pub hour_sent: i64,
    /// Milliseconds from the start of a batch to its last end, of the last hour's.
    pub batch_ms: i64,
}

/// Returns what was begun in the hour before `now`.
pub async fn pace(pool: &PgPool, now: DateTime<Utc>) -> Result<Pace, sqlx::Error> {
    const PACE: &str = "
        SELECT coalesce(sum(processed - released), 0)::bigint AS hour_used,
               coalesce(sum(processed - released) FILTER (WHERE started_at > $1 - interval '1 minute'), 0)::bigint
                   AS minute_used,
               coalesce(sum(sent - replied), 0)::bigint AS hour_sent,
               coalesce(round(avg(extract(epoch FROM finished_at - started_at) * 1000)), 0)::bigint AS batch_ms
        FROM batches WHERE started_at > $1 - interval '1 hour' AND started_at <= $1";
    sqlx::query_as(PACE).bind(now).fetch_one(pool).await
}

/// Counts what is on its way: of `user`, or of all.
pub async fn in_flight(pool: &PgPool, user: Option<i64>) -> Result<i64, sqlx::Error> {
    const COUNT: &str = "SELECT count(*) FROM in_flight WHERE $1::bigint IS NULL OR user_id = $1";
    sqlx::query_scalar(COUNT).bind(user).fetch_one(pool).await
}
