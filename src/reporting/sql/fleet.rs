//! This module reads the state of the fleet from the database.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};

use crate::domain::{id::UserId, time::LocalDates};

/// `Fleet` is the fleet's state in the database.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The fleet order, and the name of the person who gave it.
    pub running: bool,
    pub ordered_by: Option<String>,
    pub in_flight: i64,
    /// The workers with the number of shards that each owned last; `None` for shards that no worker has owned.
    pub shards: Vec<(Option<String>, i64)>,
    /// The last batches, the latest first.
    pub batches: Vec<Batch>,
}

/// A `Batch` is a group of mails that were reserved together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    pub id: i64,
    pub worker_id: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub processed: i16,
    pub sent: i16,
    pub failed: i16,
    pub uncertain: i16,
    pub released: i16,
}

/// Reads the fleet with its last `count` batches.
pub async fn fleet(pool: &PgPool, count: i64) -> Result<Fleet, sqlx::Error> {
    let (running, ordered_by) =
        sqlx::query_as("SELECT running, ordered_by FROM fleet_orders WHERE id = 1").fetch_one(pool).await?;
    Ok(Fleet {
        running,
        ordered_by,
        in_flight: sqlx::query_scalar("SELECT count(*) FROM in_flight").fetch_one(pool).await?,
        shards: sqlx::query_as("SELECT worker_id, count(*) FROM shards GROUP BY worker_id ORDER BY worker_id")
            .fetch_all(pool)
            .await?,
        batches: batches(pool, count).await?,
    })
}

/// Returns the time of the server's clock.
pub async fn server_time(pool: &PgPool) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool).await
}

/// Returns the mail hosts that do not answer some worker in time, by name, with the beginning of the problem.
pub async fn slow_hosts(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<(String, DateTime<Utc>)>, sqlx::Error> {
    const SLOW: &str = "
        SELECT host, min(since) FROM slow_hosts WHERE seen_at > $1 - interval '1 hour' GROUP BY host ORDER BY host";
    sqlx::query_as(SLOW).bind(now).fetch_all(pool).await
}

/// Returns the users, by address, whose daily limit is used up on the today of one of their mailboxes. The limit may be
/// exceeded by the factor `daily_cap` (`WARMUP_USER_DAILY_CAP`).
pub async fn users_at_limit(pool: &PgPool, daily_cap: f64, now: DateTime<Utc>) -> Result<Vec<String>, sqlx::Error> {
    const REACHED: &str = "
        SELECT DISTINCT u.email
        FROM user_days ud
        JOIN users u ON u.id = ud.user_id
        WHERE ud.reached_at IS NOT NULL AND ud.day = ANY ($2::date[]) AND ud.reserved >= floor(u.daily_limit * $3::float8)
          AND EXISTS (
              SELECT FROM mailboxes m
              JOIN unnest($1::text[], $2::date[]) AS today (zone, day) ON today.zone = m.timezone AND today.day = ud.day
              WHERE m.user_id = u.id AND m.state <> 'removed'
          )
        ORDER BY u.email";
    let todays = LocalDates::at(now);
    sqlx::query_scalar(REACHED).bind(todays.zones).bind(todays.days).bind(daily_cap).fetch_all(pool).await
}

/// Returns the fleet order, and the number of in-flight mails of `user`, or of all.
pub async fn order(pool: &PgPool, user: Option<UserId>) -> Result<(bool, i64), sqlx::Error> {
    const ORDER: &str = "
        SELECT running, (SELECT count(*) FROM in_flight WHERE $1::bigint IS NULL OR user_id = $1)
        FROM fleet_orders WHERE id = 1";
    sqlx::query_as(ORDER).bind(user.map(|user| user.0)).fetch_one(pool).await
}

/// Returns whether the database refuses writes: it is a standby, or transactions are read-only by default.
pub async fn is_read_only(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT current_setting('transaction_read_only')::boolean").fetch_one(pool).await
}

/// Returns whether the fleet is stopped because the database was set back.
pub async fn is_set_back(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT set_back_at IS NOT NULL FROM fleet_orders WHERE id = 1").fetch_one(pool).await
}

/// Returns the fleet order as the reason why nothing is sent, in a text for owners; `None` while the fleet may send.
pub async fn stop_reason(pool: &PgPool) -> Result<Option<&'static str>, sqlx::Error> {
    const ORDER: &str = "SELECT running, set_back_at IS NOT NULL FROM fleet_orders WHERE id = 1";
    Ok(match sqlx::query_as(ORDER).fetch_one(pool).await? {
        (true, _) => None,
        (false, false) => Some("the fleet is stopped"),
        (false, true) => {
            Some("the fleet is stopped because the database was set back: `warmup status` says what to do")
        }
    })
}

/// Returns the last `count` batches, the latest first.
pub async fn batches(pool: &PgPool, count: i64) -> Result<Vec<Batch>, sqlx::Error> {
    const LAST: &str = "
        SELECT id, worker_id, started_at, finished_at, processed, sent, failed, uncertain, released
        FROM batches ORDER BY id DESC LIMIT $1";
    sqlx::query_as(LAST).bind(count).fetch_all(pool).await
}
