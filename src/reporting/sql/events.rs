//! This module reads the recorded events.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

/// A recorded event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub kind: String,
    /// The mailbox's address.
    pub mailbox: Option<String>,
    /// The user's address.
    pub user: Option<String>,
    pub worker_id: Option<String>,
    pub reason: String,
    pub detail: String,
}

/// `Asked` selects events; all fields that are set must match.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub mailbox: Option<i64>,
    pub kind: Option<String>,
    pub since: Option<DateTime<Utc>>,
    /// The largest number of events: the newest ones.
    pub limit: i64,
}

/// Returns the newest events that match, the newest last.
pub async fn events(pool: &PgPool, asked: &Asked) -> Result<Vec<Event>, sqlx::Error> {
    const EVENTS: &str = "
        SELECT e.id, e.at, e.kind, m.email AS mailbox, u.email AS user, e.worker_id, e.reason, e.detail
        FROM (
            SELECT * FROM events
            WHERE ($1::bigint IS NULL OR mailbox_id = $1)
              AND ($2::text IS NULL OR kind = $2)
              AND ($3::timestamptz IS NULL OR at >= $3)
            ORDER BY id DESC LIMIT $4
        ) AS e
        LEFT JOIN mailboxes m ON m.id = e.mailbox_id
        LEFT JOIN users u ON u.id = e.user_id
        ORDER BY e.id";
    let query = sqlx::query_as(EVENTS).bind(asked.mailbox).bind(&asked.kind).bind(asked.since).bind(asked.limit);
    query.fetch_all(pool).await
}

/// Returns every recorded kind of event.
pub async fn kinds(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT DISTINCT kind FROM events ORDER BY kind").fetch_all(pool).await
}
