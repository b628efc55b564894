//! This module stores the users, who own mailboxes.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use utoipa::ToSchema;

use super::enrol::{self, Event};
use crate::domain::id::UserId;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: i64,
    pub email: String,
    /// `admin` or `user`.
    pub role: String,
    /// Mails per day over all the user's mailboxes; absent without a limit.
    pub daily_limit: Option<i32>,
    /// The user's mailboxes that are not removed.
    pub mailboxes: i64,
    pub created_at: DateTime<Utc>,
}

/// Returns all users, ordered by id.
pub async fn all(pool: &PgPool) -> Result<Vec<User>, sqlx::Error> {
    const ALL: &str = "
        SELECT u.id, u.email, u.role, u.daily_limit, u.created_at,
               (SELECT count(*) FROM mailboxes m WHERE m.user_id = u.id AND m.state <> 'removed') AS mailboxes
        FROM users u ORDER BY u.id";
    sqlx::query_as(ALL).fetch_all(pool).await
}

/// Returns the first `limit` users with an id greater than `after`, ordered by id: all users, or only `user`. The
/// number of their mailboxes comes from the last statistics snapshot.
pub async fn page(
    pool: &PgPool,
    user: Option<UserId>,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<User>, sqlx::Error> {
    const PAGE: &str = "
        SELECT u.id, u.email, u.role, u.daily_limit, u.created_at, coalesce(t.enrolled, 0) AS mailboxes
        FROM users u LEFT JOIN totals t ON t.user_id = u.id WHERE ($1::bigint IS NULL OR u.id = $1) AND ($2::bigint IS NULL OR u.id > $2)
        ORDER BY u.id LIMIT $3";
    sqlx::query_as(PAGE).bind(user.map(|user| user.0)).bind(after).bind(limit).fetch_all(pool).await
}

/// Creates a user; returns `None` if the address (any case) exists already.
pub async fn add(
    connection: &mut PgConnection,
    email: &str,
    role: &str,
    daily_limit: Option<i32>,
    now: DateTime<Utc>,
) -> Result<Option<UserId>, sqlx::Error> {
    const ADD: &str = "
        INSERT INTO users (email, role, daily_limit, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (lower(email)) DO NOTHING RETURNING id";
    let made: Option<i64> = sqlx::query_scalar(ADD)
        .bind(email)
        .bind(role)
        .bind(daily_limit)
        .bind(now)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(id) = made else { return Ok(None) };
    tell(connection, "user-created", id, email.to_owned(), now).await?;
    Ok(Some(UserId(id)))
}

/// Returns the users `emails` (lower case) and all admins, locked until the transaction ends. The lock on the admins
/// keeps two commands from removing the last two of them.
pub async fn lock(connection: &mut PgConnection, emails: &[String]) -> Result<Vec<User>, sqlx::Error> {
    const LOCK: &str = "
        SELECT u.id, u.email, u.role, u.daily_limit, u.created_at, 0::bigint AS mailboxes
        FROM users u WHERE lower(u.email) = ANY ($1) OR u.role = 'admin' ORDER BY u.id FOR UPDATE";
    sqlx::query_as(LOCK).bind(emails).fetch_all(connection).await
}

/// Writes role and limit of a locked user, with an event that describes the changes.
pub async fn write(
    connection: &mut PgConnection,
    user: &User,
    changes: String,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE users SET role = $2, daily_limit = $3 WHERE id = $1")
        .bind(user.id)
        .bind(&user.role)
        .bind(user.daily_limit)
        .execute(&mut *connection)
        .await?;
    if user.daily_limit.is_some() {
        count_today(connection, user.id).await?;
    }
    tell(connection, "user-changed", user.id, changes, now).await
}

/// Counts the mails of the user's open days. Days are counted only for users with a limit, so a new limit needs this
/// count.
async fn count_today(connection: &mut PgConnection, user: i64) -> Result<(), sqlx::Error> {
    const COUNT: &str = "
        INSERT INTO user_days AS ud (user_id, day, reserved)
        SELECT m.user_id, d.day, sum(d.reserved + d.reply_attempts)
        FROM mailbox_days d JOIN mailboxes m ON m.id = d.mailbox_id
        WHERE m.user_id = $1 AND NOT d.closed
        GROUP BY m.user_id, d.day ORDER BY d.day
        ON CONFLICT (user_id, day) DO UPDATE SET reserved = GREATEST(ud.reserved, EXCLUDED.reserved)";
    sqlx::query(COUNT).bind(user).execute(connection).await.map(drop)
}

async fn tell(
    connection: &mut PgConnection,
    kind: &'static str,
    user: i64,
    detail: String,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let event = Event { kind, mailbox: None, user: Some(UserId(user)), reason: "operator".to_owned(), detail };
    enrol::record(connection, &[event], now).await
}
