//! This module stores the domains that an admin has confirmed for a user, and verifies the user's mailboxes in them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use utoipa::ToSchema;

use super::verification::verification_events;
use crate::domain::id::{MailboxId, UserId};

/// A confirmed domain.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedDomain {
    pub domain: String,
    /// The user who owns the domain.
    pub user: String,
    /// The admin who confirmed the domain.
    pub verified_by: String,
    pub verified_at: DateTime<Utc>,
    /// The user's mailboxes in it.
    pub mailboxes: i64,
}

/// Returns the confirmed domains of `owner`, or of all users, ordered by domain and user.
pub async fn verified_domains(pool: &PgPool, owner: Option<UserId>) -> Result<Vec<VerifiedDomain>, sqlx::Error> {
    const DOMAINS: &str = "
        SELECT v.domain, u.email AS user, v.verified_by, v.verified_at, (
                   SELECT count(*) FROM mailboxes m
                   WHERE m.user_id = v.user_id AND m.domain = v.domain AND m.state <> 'removed'
               ) AS mailboxes
        FROM verified_domains v JOIN users u ON u.id = v.user_id
        WHERE $1::bigint IS NULL OR v.user_id = $1 ORDER BY v.domain, u.email";
    sqlx::query_as(DOMAINS).bind(owner.map(|owner| owner.0)).fetch_all(pool).await
}

/// Returns the user with this address, in any case.
pub async fn user(connection: &mut PgConnection, email: &str) -> Result<Option<UserId>, sqlx::Error> {
    let found = sqlx::query_scalar("SELECT id FROM users WHERE lower(email) = lower($1)").bind(email);
    Ok(found.fetch_optional(connection).await?.map(UserId))
}

/// Confirms that `domain` belongs to `user`, and verifies the user's mailboxes in it, with one event each. Returns the
/// mailboxes that were not verified before.
pub async fn verify(
    connection: &mut PgConnection,
    user: UserId,
    domain: &str,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Vec<MailboxId>, sqlx::Error> {
    const VERIFY: &str = concat!(
        "
        WITH confirmed AS (
            INSERT INTO verified_domains (user_id, domain, verified_by, verified_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (user_id, domain) DO NOTHING RETURNING domain),
        old AS MATERIALIZED (
            SELECT id FROM mailboxes
            WHERE user_id = $1 AND domain = $2 AND verified_by IS NULL AND state <> 'removed' ORDER BY id FOR UPDATE),
        written AS (
            UPDATE mailboxes m SET verified_by = 'domain', changed_at = $4 FROM old WHERE m.id = old.id
            RETURNING m.id, m.user_id, m.domain, NULL::text AS was, m.verified_by),
        new_event AS (
            INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
            SELECT $4, 'domain-verified', NULL, $1, 'operator', domain FROM confirmed),",
        verification_events!("$4"),
        "
        SELECT id FROM written ORDER BY id"
    );
    changed(connection, VERIFY, (user, domain, by, now)).await
}

/// Revokes the confirmation of `domain` and the verification of the mailboxes that it had verified. Returns those
/// mailboxes, or `None` if the domain was not confirmed.
pub async fn revoke(
    connection: &mut PgConnection,
    user: UserId,
    domain: &str,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Option<Vec<MailboxId>>, sqlx::Error> {
    const IS_CONFIRMED: &str = "SELECT EXISTS (SELECT FROM verified_domains WHERE user_id = $1 AND domain = $2)";
    const REVOKE: &str = concat!(
        "
        WITH gone AS (DELETE FROM verified_domains WHERE user_id = $1 AND domain = $2 RETURNING domain),
        old AS MATERIALIZED (
            SELECT id, verified_by AS was FROM mailboxes
            WHERE user_id = $1 AND domain = $2 AND verified_by = 'domain' ORDER BY id FOR UPDATE),
        written AS (
            UPDATE mailboxes m SET verified_by = NULL, changed_at = $4 FROM old WHERE m.id = old.id
            RETURNING m.id, m.user_id, m.domain, old.was, m.verified_by),
        new_event AS (
            INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
            SELECT $4, 'domain-unverified', NULL, $1, 'operator', format('%s, by %s', domain, $3::text) FROM gone),",
        verification_events!("$4"),
        "
        SELECT id FROM written ORDER BY id"
    );
    let is_confirmed: bool =
        sqlx::query_scalar(IS_CONFIRMED).bind(user.0).bind(domain).fetch_one(&mut *connection).await?;
    if !is_confirmed {
        return Ok(None);
    }
    changed(connection, REVOKE, (user, domain, by, now)).await.map(Some)
}

async fn changed(
    connection: &mut PgConnection,
    statement: &'static str,
    (user, domain, by, now): (UserId, &str, &str, DateTime<Utc>),
) -> Result<Vec<MailboxId>, sqlx::Error> {
    let query = sqlx::query_scalar(statement).bind(user.0).bind(domain).bind(by).bind(now);
    let ids: Vec<i64> = query.fetch_all(connection).await?;
    Ok(ids.into_iter().map(MailboxId).collect())
}
