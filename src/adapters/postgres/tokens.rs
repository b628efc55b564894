//! This module stores the bearer tokens of the API by their hash.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use utoipa::ToSchema;

use super::enrol::{self, Event};
use crate::domain::{id::UserId, token::TokenHash};

/// A token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    pub id: i64,
    /// The address of the token's user.
    pub user: String,
    /// The role of the token's user.
    pub role: String,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    /// The time of the last use, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A `Holder` is the user that a token authenticates.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Holder {
    pub token: i64,
    pub user_id: i64,
    pub email: String,
    pub role: String,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Stores a token of the user `email` (any case) by its hash, with an event. Returns `None` if there is no such user.
pub async fn add(
    connection: &mut PgConnection,
    email: &str,
    name: &str,
    hash: &TokenHash,
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Option<Token>, sqlx::Error> {
    const ADD: &str = "
        WITH made AS (
            INSERT INTO tokens (user_id, name, hash, created_at, expires_at)
            SELECT id, $2, $3, $4, $5 FROM users WHERE lower(email) = lower($1)
            RETURNING *)
        SELECT t.id, u.email AS user, u.role, t.name, t.created_at, t.expires_at, t.last_used_at, t.revoked_at, u.id AS user_id
        FROM made t JOIN users u ON u.id = t.user_id";
    let made: Option<Owned> = sqlx::query_as(ADD)
        .bind(email)
        .bind(name)
        .bind(hash.as_bytes().as_slice())
        .bind(now)
        .bind(expires_at)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(made) = made else { return Ok(None) };
    tell(connection, "token-created", std::slice::from_ref(&made), now).await?;
    Ok(Some(made.token))
}

/// Returns the tokens of `user`, or of all users, ordered by id.
pub async fn all(pool: &PgPool, user: Option<UserId>) -> Result<Vec<Token>, sqlx::Error> {
    const ALL: &str = "
        SELECT t.id, u.email AS user, u.role, t.name, t.created_at, t.expires_at, t.last_used_at, t.revoked_at
        FROM tokens t JOIN users u ON u.id = t.user_id
        WHERE $1::bigint IS NULL OR t.user_id = $1 ORDER BY t.id";
    sqlx::query_as(ALL).bind(user.map(|user| user.0)).fetch_all(pool).await
}

/// Returns the first `limit` tokens of `user`, or of all users, with an id greater than `after`.
pub async fn page(
    pool: &PgPool,
    user: Option<UserId>,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<Token>, sqlx::Error> {
    const PAGE: &str = "
        SELECT t.id, u.email AS user, u.role, t.name, t.created_at, t.expires_at, t.last_used_at, t.revoked_at
        FROM tokens t JOIN users u ON u.id = t.user_id
        WHERE ($1::bigint IS NULL OR t.user_id = $1) AND ($2::bigint IS NULL OR t.id > $2) ORDER BY t.id LIMIT $3";
    sqlx::query_as(PAGE).bind(user.map(|user| user.0)).bind(after).bind(limit).fetch_all(pool).await
}

/// Returns the tokens `ids` of `user`, or of all users, ordered by id and locked until the transaction ends.
pub async fn lock(connection: &mut PgConnection, ids: &[i64], user: Option<UserId>) -> Result<Vec<Token>, sqlx::Error> {
    const LOCK: &str = "
        SELECT t.id, u.email AS user, u.role, t.name, t.created_at, t.expires_at, t.last_used_at, t.revoked_at
        FROM tokens t JOIN users u ON u.id = t.user_id
        WHERE t.id = ANY ($1) AND ($2::bigint IS NULL OR t.user_id = $2) ORDER BY t.id FOR UPDATE OF t";
    sqlx::query_as(LOCK).bind(ids).bind(user.map(|user| user.0)).fetch_all(connection).await
}

/// Revokes the tokens `ids` that are not revoked yet, with one event each.
pub async fn revoke(connection: &mut PgConnection, ids: &[i64], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    const REVOKE: &str = "
        WITH gone AS (UPDATE tokens SET revoked_at = $2 WHERE id = ANY ($1) AND revoked_at IS NULL RETURNING *)
        SELECT t.id, u.email AS user, u.role, t.name, t.created_at, t.expires_at, t.last_used_at, t.revoked_at, u.id AS user_id
        FROM gone t JOIN users u ON u.id = t.user_id ORDER BY t.id";
    let gone: Vec<Owned> = sqlx::query_as(REVOKE).bind(ids).bind(now).fetch_all(&mut *connection).await?;
    tell(connection, "token-revoked", &gone, now).await
}

/// Returns the user that the token with this hash authenticates at `now`; `None` if the token is unknown, revoked or
/// expired.
pub async fn holder(pool: &PgPool, hash: &TokenHash, now: DateTime<Utc>) -> Result<Option<Holder>, sqlx::Error> {
    const HOLDER: &str = "
        SELECT t.id AS token, u.id AS user_id, u.email, u.role, t.last_used_at
        FROM tokens t JOIN users u ON u.id = t.user_id
        WHERE t.hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)";
    sqlx::query_as(HOLDER).bind(hash.as_bytes().as_slice()).bind(now).fetch_optional(pool).await
}

/// Records the use of a token.
pub async fn used(pool: &PgPool, token: i64, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    // Of fifty requests that want to record a use, one writes; the others skip the locked row.
    const USED: &str = "
        UPDATE tokens SET last_used_at = GREATEST(last_used_at, $2)
        WHERE id = (SELECT id FROM tokens WHERE id = $1 FOR UPDATE SKIP LOCKED)";
    sqlx::query(USED).bind(token).bind(now).execute(pool).await.map(drop)
}

#[derive(FromRow)]
struct Owned {
    #[sqlx(flatten)]
    token: Token,
    user_id: i64,
}

async fn tell(
    connection: &mut PgConnection,
    kind: &'static str,
    tokens: &[Owned],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let event = |owned: &Owned| Event {
        kind,
        mailbox: None,
        user: Some(UserId(owned.user_id)),
        reason: "operator".to_owned(),
        detail: format!("{} (token {})", owned.token.name, owned.token.id),
    };
    let events: Vec<Event> = tokens.iter().map(event).collect();
    enrol::record(connection, &events, now).await
}
