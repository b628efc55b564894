//! Orders of the operator that change whether mailboxes take part: pause, resume, remove.
//!
//! Each is one statement: it locks the mailboxes in the order of their ids, as the ledger does, looks at each again on its
//! newest version, changes what the order changes, and writes an event for each change. Host and domain pauses come after
//! the mailboxes, as in the ledger's order of locks.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};

use crate::domain::id::MailboxId;

/// Which mailboxes are meant; what is set must all hold. Addresses, hosts and domains in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub emails: Option<Vec<String>>,
    /// The owner's address.
    pub user: Option<String>,
    pub domain: Option<String>,
    pub host: Option<String>,
    /// Why it is paused, disabled or excluded from receiving.
    pub reason: Option<String>,
    /// Whether the removed ones are meant too.
    pub removed: bool,
}

/// A mailbox that was found.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Found {
    pub id: i64,
    pub email: String,
    pub state: String,
    pub reason: Option<String>,
    pub paused_until: Option<DateTime<Utc>>,
    pub receives: bool,
    pub smtp_host: String,
    pub domain: String,
}

/// A host or a domain that is left alone as a whole.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Held {
    /// `host` or `domain`.
    pub scope: String,
    pub key: String,
    pub reason: String,
    pub until: DateTime<Utc>,
}

/// What becomes of the mailboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Neither sends nor receives, until it is resumed.
    Pause,
    /// Sends and receives again, whatever had stopped it.
    Resume,
    /// Its secret is erased; its row, log and counters stay.
    Remove,
}

/// Returns the mailboxes that `filter` means, ordered by id.
pub async fn find(connection: &mut PgConnection, filter: &Filter) -> Result<Vec<Found>, sqlx::Error> {
    const FIND: &str = "
        SELECT m.id, m.email, m.state, m.reason, m.paused_until, m.receives, m.smtp_host, m.domain
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

/// Makes `change` of `mailboxes`, for `reason`. Returns those that it changed, ordered by id.
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

/// Returns the hosts and domains that are left alone at `now`: those named, or all where neither is.
pub async fn held(
    connection: &mut PgConnection,
    host: Option<&str>,
    domain: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Vec<Held>, sqlx::Error> {
    const HELD: &str = "
        SELECT scope, key, reason, until FROM pauses
        WHERE (until > $3 OR probing)
          AND ($1::text IS NULL AND $2::text IS NULL OR scope = 'host' AND key = $1 OR scope = 'domain' AND key = $2)
        ORDER BY scope, key";
    sqlx::query_as(HELD).bind(host).bind(domain).bind(now).fetch_all(connection).await
}

/// Ends the pauses `held`, for `reason`, with an event each. Returns those that were still there.
pub async fn release(
    connection: &mut PgConnection,
    held: &[Held],
    reason: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Held>, sqlx::Error> {
    const RELEASE: &str = "
        WITH locked AS MATERIALIZED (
            SELECT p.scope, p.key
            FROM pauses p JOIN unnest($1::text[], $2::text[]) AS wanted (scope, key) USING (scope, key)
            ORDER BY p.scope, p.key FOR UPDATE OF p),
        gone AS (
            DELETE FROM pauses p USING locked WHERE p.scope = locked.scope AND p.key = locked.key
            RETURNING p.scope, p.key, p.reason, p.until),
        told AS (
            INSERT INTO events (at, kind, reason, detail)
            SELECT $4, scope || '-resumed', $3, format('%s was paused: %s', key, reason) FROM gone ORDER BY scope, key)
        SELECT scope, key, reason, until FROM gone ORDER BY scope, key";
    sqlx::query_as(RELEASE)
        .bind(held.iter().map(|held| held.scope.as_str()).collect::<Vec<_>>())
        .bind(held.iter().map(|held| held.key.as_str()).collect::<Vec<_>>())
        .bind(reason)
        .bind(now)
        .fetch_all(connection)
        .await
}
