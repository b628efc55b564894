//! This module executes the operator's changes of mailbox states: pause, resume, remove. It also lists and ends pauses.
//!
//! Each change is one statement. The statement locks the mailboxes in the order of their ids, like the ledger. It
//! checks the newest version of each row, changes the row, and writes an event for each change. Host and domain pauses
//! come after the mailboxes, as in the ledger's lock order.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use utoipa::ToSchema;

use crate::domain::id::{MailboxId, UserId};

/// A `Filter` selects mailboxes; all fields that are set must match. Addresses, hosts and domains are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub emails: Option<Vec<String>>,
    /// The owner's address.
    pub user: Option<String>,
    pub domain: Option<String>,
    pub host: Option<String>,
    /// The reason why the mailbox is paused, disabled or excluded from receiving.
    pub reason: Option<String>,
    /// True if removed mailboxes are included.
    pub removed: bool,
}

/// A `MailboxMatch` is a mailbox that a filter selected.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct MailboxMatch {
    pub id: i64,
    pub email: String,
    pub state: String,
    pub reason: Option<String>,
    pub paused_until: Option<DateTime<Utc>>,
    pub receives: bool,
    pub smtp_host: String,
    pub smtp_port: i32,
    pub smtp_security: String,
    pub domain: String,
    pub user_id: i64,
}

/// An `ActivePause` is the pause of a host or a domain, for all owners or for one.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ActivePause {
    /// The scope: `host` or `domain`.
    pub scope: String,
    /// The paused name. A host that is paused for one owner is name:port; a login breaker's host is name:port/security.
    pub key: String,
    pub reason: String,
    pub until: DateTime<Utc>,
    /// The owner that the pause concerns; `None` for all owners.
    pub user_id: Option<i64>,
    pub user: Option<String>,
}

/// A `Change` is a change of mailbox state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The mailbox neither sends nor receives until the operator resumes it.
    Pause,
    /// The mailbox sends and receives again, whatever had stopped it.
    Resume,
    /// The password is erased; row, log and counters remain.
    Remove,
}

/// Returns the mailboxes that match `filter`, ordered by id.
pub async fn find(connection: &mut PgConnection, filter: &Filter) -> Result<Vec<MailboxMatch>, sqlx::Error> {
    const FIND: &str = "
        SELECT m.id, m.email, m.state, m.reason, m.paused_until, m.receives, m.smtp_host, m.smtp_port, m.smtp_security,
               m.domain,
               m.user_id
        FROM mailboxes m JOIN users u ON u.id = m.user_id
        WHERE ($1::text[] IS NULL OR lower(m.email) = ANY ($1))
          AND ($2::text IS NULL OR lower(u.email) = $2)
          AND ($3::text IS NULL OR m.domain = $3)
          AND ($4::text IS NULL OR lower(m.smtp_host) = $4)
          AND ($5::text IS NULL OR m.state <> 'active' AND m.reason = $5 OR NOT m.receives AND m.receive_reason = $5)
          AND ($6 OR m.state <> 'removed')
        ORDER BY m.id";
    sqlx::query_as(FIND)
        .bind(&filter.emails)
        .bind(&filter.user)
        .bind(&filter.domain)
        .bind(&filter.host)
        .bind(&filter.reason)
        .bind(filter.removed)
        .fetch_all(connection)
        .await
}

/// Applies `change` to `mailboxes`, with `reason`. Returns the changed mailboxes, ordered by id.
pub async fn change(
    connection: &mut PgConnection,
    change: Change,
    mailboxes: &[MailboxId],
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Vec<MailboxId>, sqlx::Error> {
    let statement = match change {
        Change::Pause => include_str!("sql/pause.sql"),
        Change::Resume => include_str!("sql/resume.sql"),
        Change::Remove => include_str!("sql/remove.sql"),
    };
    let ids: Vec<i64> = mailboxes.iter().map(|mailbox| mailbox.0).collect();
    let changed: Vec<i64> =
        sqlx::query_scalar(statement).bind(ids).bind(reason).bind(now).fetch_all(connection).await?;
    Ok(changed.into_iter().map(MailboxId).collect())
}

/// Returns the pauses of hosts and domains at `now`: the named ones, or all if neither is named. A domain pause for all
/// owners was written by a worker of the previous release; only such workers obey it.
pub async fn held(
    connection: &mut PgConnection,
    host: Option<&str>,
    domain: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Vec<ActivePause>, sqlx::Error> {
    const HELD: &str = "
        SELECT scope, key, reason, until, NULL::bigint AS user_id, NULL::text AS user FROM pauses
        WHERE (until > $3 OR probing) AND scope <> 'login'
          AND ($1::text IS NULL AND $2::text IS NULL OR scope = 'host' AND key = $1 OR scope = 'domain' AND key = $2)
        UNION ALL
        SELECT p.scope, p.key, p.reason, p.until, p.user_id, u.email
        FROM (
            SELECT user_id, scope, key, reason, until FROM owner_pauses WHERE until > $3
            UNION ALL
            SELECT user_id, 'host', regexp_replace(key, '^[0-9]+/', ''), reason, until
            FROM pauses WHERE scope = 'login' AND (until > $3 OR probing)
        ) AS p JOIN users u ON u.id = p.user_id
        WHERE $1::text IS NULL AND $2::text IS NULL OR p.scope = 'domain' AND p.key = $2
           -- A host by its name, by name:port, or as it is listed.
           OR p.scope = 'host' AND $1 IN (p.key, regexp_replace(p.key, '/[a-z]+$', ''), regexp_replace(p.key, ':[0-9]+(/[a-z]+)?$', ''))
        ORDER BY scope, key, user_id NULLS FIRST";
    sqlx::query_as(HELD).bind(host).bind(domain).bind(now).fetch_all(connection).await
}

/// Ends the pauses `held`, with `reason` and one event each. Returns the pauses that still existed.
pub async fn release(
    connection: &mut PgConnection,
    held: &[ActivePause],
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Vec<ActivePause>, sqlx::Error> {
    const RELEASE: &str = "
        WITH wanted AS MATERIALIZED (
            SELECT * FROM unnest($1::text[], $2::text[], $5::bigint[]) AS wanted (scope, key, user_id)),
        logins AS MATERIALIZED (
            SELECT user_id, regexp_replace(key, ':[0-9]+/[a-z]+$', '') AS host FROM wanted
            WHERE scope = 'host' AND key LIKE '%/%' AND user_id IS NOT NULL),
        locked AS MATERIALIZED (
            SELECT p.scope, p.key, w.scope IS NOT NULL AS ends
            FROM pauses p
            LEFT JOIN wanted w ON w.scope = p.scope AND w.key = p.key AND w.user_id IS NULL
                          OR w.scope = 'host' AND p.scope = 'login' AND w.user_id || '/' || w.key = p.key
            WHERE w.scope IS NOT NULL
               OR p.scope = 'host' AND NOT p.probing AND p.refused <> '{}' AND p.key IN (SELECT host FROM logins)
            ORDER BY p.scope, p.key FOR UPDATE OF p),
        -- The owner's refusals do not count for the host any more either.
        uncounted AS (
            UPDATE pauses p
            SET refused = (
                SELECT COALESCE(jsonb_object_agg(refused.key, refused.value), '{}')
                FROM jsonb_each(p.refused) AS refused
                WHERE NOT EXISTS (
                    SELECT FROM logins JOIN mailboxes m ON m.user_id = logins.user_id
                    WHERE logins.host = p.key AND m.id = refused.key::bigint))
            FROM locked WHERE p.scope = locked.scope AND p.key = locked.key AND NOT ends),
        gone AS (
            DELETE FROM pauses p USING locked WHERE p.scope = locked.scope AND p.key = locked.key AND ends
            RETURNING CASE p.scope WHEN 'login' THEN 'host' ELSE p.scope END AS scope,
                      regexp_replace(p.key, '^[0-9]+/', '') AS key, p.reason, p.until, p.user_id),
        -- What made a host the suspect is forgotten with its pause.
        forgotten AS (
            DELETE FROM partner_refusals r USING wanted w
            WHERE w.scope = 'host' AND r.host = w.key AND r.user_id = w.user_id AND (SELECT count(*) FROM gone) >= 0
            RETURNING 1),
        owned AS MATERIALIZED (
            SELECT p.user_id, p.scope, p.key
            FROM owner_pauses p JOIN wanted w ON w.scope = p.scope AND w.key = p.key AND w.user_id = p.user_id
            WHERE (SELECT count(*) FROM forgotten) >= 0
            ORDER BY p.user_id, p.scope, p.key FOR UPDATE OF p),
        freed AS (
            DELETE FROM owner_pauses p USING owned o
            WHERE p.user_id = o.user_id AND p.scope = o.scope AND p.key = o.key
            RETURNING p.scope, p.key, p.reason, p.until, p.user_id),
        ended AS (
            SELECT * FROM gone UNION ALL SELECT * FROM freed),
        told AS (
            INSERT INTO events (at, kind, user_id, reason, detail)
            SELECT $4, scope || '-resumed', user_id, $3, format('%s was paused: %s', key, reason)
            FROM ended ORDER BY scope, key)
        SELECT e.scope, e.key, e.reason, e.until, e.user_id, u.email AS user
        FROM ended e LEFT JOIN users u ON u.id = e.user_id ORDER BY e.scope, e.key, e.user_id NULLS FIRST";
    sqlx::query_as(RELEASE)
        .bind(held.iter().map(|held| held.scope.as_str()).collect::<Vec<_>>())
        .bind(held.iter().map(|held| held.key.as_str()).collect::<Vec<_>>())
        .bind(reason)
        .bind(now)
        .bind(held.iter().map(|held| held.user_id).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
}

/// An active pause.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StandingPause {
    /// `host` or `domain`.
    pub scope: String,
    /// The name of the host or the domain; name:port for a host that is paused for one owner, name:port/security for a
    /// login breaker.
    pub key: String,
    /// The owner that the pause concerns; absent for all owners.
    pub user: Option<String>,
    pub reason: String,
    pub since: DateTime<Utc>,
    /// The end of the pause. A host with an open breaker then lets one mailbox at a time try.
    pub until: DateTime<Utc>,
    /// True if the host's breaker has opened, and no mailbox was let in since.
    pub probing: bool,
    /// The mailboxes that wait for the end; for an owner, only the owner's mailboxes.
    pub mailboxes: i64,
}

/// Returns the pauses at `now`: all of them, or those that concern mailboxes of `owner`.
pub async fn standing_pauses(
    pool: &PgPool,
    owner: Option<UserId>,
    now: DateTime<Utc>,
) -> Result<Vec<StandingPause>, sqlx::Error> {
    const PAUSES: &str = "
        SELECT * FROM (
            SELECT p.scope, p.key, NULL::text AS user, p.reason, p.since, p.until, p.probing, (
                       SELECT count(*) FROM mailboxes m
                       WHERE m.state <> 'removed' AND ($1::bigint IS NULL OR m.user_id = $1)
                         AND CASE p.scope WHEN 'host' THEN lower(m.smtp_host) = p.key ELSE m.domain = p.key END
                   ) AS mailboxes
            FROM pauses p WHERE (p.until > $2 OR p.probing) AND p.scope <> 'login'
            UNION ALL
            SELECT 'host', regexp_replace(p.key, '^[0-9]+/', ''), u.email, p.reason, p.since, p.until, p.probing, (
                       SELECT count(*) FROM mailboxes m
                       WHERE m.state <> 'removed' AND m.user_id = p.user_id
                         AND login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security) = p.key
                   )
            FROM pauses p JOIN users u ON u.id = p.user_id
            WHERE (p.until > $2 OR p.probing) AND p.scope = 'login' AND ($1::bigint IS NULL OR p.user_id = $1)
            UNION ALL
            SELECT p.scope, p.key, u.email, p.reason, p.since, p.until, false, (
                       SELECT count(*) FROM mailboxes m
                       WHERE m.state <> 'removed' AND m.user_id = p.user_id
                         AND CASE p.scope WHEN 'host' THEN lower(m.smtp_host) || ':' || m.smtp_port ELSE m.domain END = p.key
                   )
            FROM owner_pauses p JOIN users u ON u.id = p.user_id
            WHERE p.until > $2 AND ($1::bigint IS NULL OR p.user_id = $1)
        ) AS standing
        WHERE $1::bigint IS NULL OR standing.user IS NOT NULL OR mailboxes > 0
        ORDER BY scope DESC, key, standing.user NULLS FIRST";
    sqlx::query_as(PAUSES).bind(owner.map(|owner| owner.0)).bind(now).fetch_all(pool).await
}
