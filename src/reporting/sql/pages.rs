//! This module reads long lists page by page, of one owner or of all: mailboxes, events and the log.

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool, Postgres, postgres::PgArguments, query::QueryScalar};
use utoipa::ToSchema;

use super::{events::Event, quota::Page};
use crate::{adapters::postgres::transaction, domain::id::UserId};

/// A `MailboxFilter` selects mailboxes; all fields that are set must match.
#[derive(Clone, Debug, Default)]
pub struct MailboxFilter {
    /// The owner of the mailboxes.
    pub owner: Option<UserId>,
    /// The address of the owner in lower case; `host` and `domain` are in lower case too.
    pub user: Option<String>,
    pub host: Option<String>,
    pub domain: Option<String>,
    /// The state: `active`, `off`, `paused`, `disabled` or `removed`; removed mailboxes are listed only by this state.
    pub state: Option<String>,
    /// A part of the address, in any case.
    pub search: Option<String>,
}

/// Expands to the FROM and WHERE clauses of a `MailboxFilter`. The planner removes the conditions of NULL parameters
/// (`pool::for_requests`), so that an index remains.
macro_rules! filtered_mailboxes {
    () => {
        "
        FROM mailboxes m
        WHERE ($1::bigint IS NULL OR m.user_id = $1)
          AND ($2::text IS NULL OR m.user_id = (SELECT id FROM users WHERE lower(email) = $2))
          AND ($3::text IS NULL OR lower(m.smtp_host) = $3)
          AND ($4::text IS NULL OR m.domain = $4)
          AND ($6::text IS NULL OR strpos(lower(m.email), lower($6)) > 0)
          AND ($5::text IS NULL AND m.state <> 'removed'
               OR $5 IN ('removed', 'disabled') AND m.state = $5
               OR $5 = 'off' AND NOT m.enabled AND m.state IN ('active', 'paused')
               OR $5 = 'paused' AND m.enabled
                  AND (m.state = 'paused' AND (m.paused_until IS NULL OR m.paused_until > $7)
                       OR m.state IN ('active', 'paused') AND (lower(m.smtp_host) = ANY ($8)
                           OR $9 <> '{}' AND (m.user_id || ' ' || m.domain = ANY ($9)
                               OR m.user_id || ' ' || lower(m.smtp_host) || ':' || m.smtp_port = ANY ($9)
                               OR login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security) = ANY ($9))))
               OR $5 = 'active' AND m.enabled AND (m.state = 'active' OR m.state = 'paused' AND m.paused_until <= $7)
                  AND lower(m.smtp_host) <> ALL ($8)
                  AND ($9 = '{}' OR m.user_id || ' ' || m.domain <> ALL ($9)
                       AND m.user_id || ' ' || lower(m.smtp_host) || ':' || m.smtp_port <> ALL ($9)
                       AND login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security) <> ALL ($9)))
        "
    };
}

/// Counts the mailboxes that match `filter`.
pub async fn count_mailboxes(pool: &PgPool, filter: &MailboxFilter, now: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    filtered(COUNT, filter, held(pool, now).await?, now).fetch_one(pool).await
}

const COUNT: &str = concat!("SELECT count(*)", filtered_mailboxes!());

/// Returns the number of mailboxes that match `filter`, which contains a part of an address, and the ids of a page of
/// them. It reads all addresses, usually once, from an index of addresses alone.
pub async fn found_mailboxes(
    pool: &PgPool,
    filter: &MailboxFilter,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(i64, Vec<i64>), sqlx::Error> {
    const FEW: &str = concat!("SELECT m.id", filtered_mailboxes!(), "LIMIT $10");
    let held = held(pool, now).await?;
    let mut transaction = transaction::begin(pool).await?;
    // The planner's costs ignore what is in memory, and rate index and table about equal; the index is five times as
    // fast.
    sqlx::query("SET LOCAL enable_seqscan = off").execute(&mut *transaction).await?;
    let few = filtered(FEW, filter, held.clone(), now).bind(FOUND_AT_ONCE + 1).fetch_all(&mut *transaction).await?;
    if let Some(all) = in_order(few) {
        return Ok((all.len() as i64, page.of(&all)));
    }
    let total = filtered(COUNT, filter, held, now).fetch_one(&mut *transaction).await?;
    transaction.rollback().await?;
    Ok((total, mailbox_ids(pool, filter, page, now).await?))
}

/// The number of matches that are read together; with more matches, a page of them is found quickly.
pub(super) const FOUND_AT_ONCE: i64 = 5_000;

/// Returns the ids in order; `None` if there are more than [`FOUND_AT_ONCE`].
pub(super) fn in_order(mut found: Vec<i64>) -> Option<Vec<i64>> {
    found.sort_unstable();
    (found.len() as i64 <= FOUND_AT_ONCE).then_some(found)
}

/// Returns the ids of a page of the mailboxes that match `filter`.
pub async fn mailbox_ids(
    pool: &PgPool,
    filter: &MailboxFilter,
    page: Page,
    now: DateTime<Utc>,
) -> Result<Vec<i64>, sqlx::Error> {
    const IDS: &str = concat!(
        "SELECT m.id",
        filtered_mailboxes!(),
        "AND ($10::bigint IS NULL OR m.id > $10) ORDER BY m.id LIMIT $11"
    );
    filtered(IDS, filter, held(pool, now).await?, now).bind(page.after).bind(page.limit).fetch_all(pool).await
}

type Asking<'q> = QueryScalar<'q, Postgres, i64, PgArguments>;

/// Returns the hosts that are paused for all owners, and the pauses of one owner: the user's id with host or domain, or
/// a `login_key`.
async fn held(pool: &PgPool, now: DateTime<Utc>) -> Result<(Vec<String>, Vec<String>), sqlx::Error> {
    const HELD: &str = "
        SELECT ARRAY(SELECT key FROM pauses WHERE scope = 'host' AND (until > $1 OR probing)),
               ARRAY(SELECT user_id || ' ' || key FROM owner_pauses WHERE until > $1
                     UNION ALL SELECT key FROM pauses WHERE scope = 'login' AND (until > $1 OR probing))";
    sqlx::query_as(HELD).bind(now).fetch_one(pool).await
}

fn filtered<'q>(
    statement: &'static str,
    filter: &'q MailboxFilter,
    (hosts, of_owners): (Vec<String>, Vec<String>),
    now: DateTime<Utc>,
) -> Asking<'q> {
    sqlx::query_scalar(statement)
        .bind(filter.owner.map(|owner| owner.0))
        .bind(&filter.user)
        .bind(&filter.host)
        .bind(&filter.domain)
        .bind(&filter.state)
        .bind(&filter.search)
        .bind(now)
        .bind(hosts)
        .bind(of_owners)
}

/// Returns whether the mailbox `id` exists and belongs to `owner`, or to any user.
pub async fn owns(pool: &PgPool, owner: Option<UserId>, id: i64) -> Result<bool, sqlx::Error> {
    const OWNS: &str = "SELECT EXISTS (SELECT FROM mailboxes WHERE id = $1 AND ($2::bigint IS NULL OR user_id = $2))";
    sqlx::query_scalar(OWNS).bind(id).bind(owner.map(|owner| owner.0)).fetch_one(pool).await
}

/// An `EventFilter` selects events; all fields that are set must match.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// The user whose events, and whose mailboxes' events, are selected.
    pub owner: Option<UserId>,
    /// True if the owner has some hundred mailboxes at most.
    pub owns_few: bool,
    pub mailbox: Option<i64>,
    pub kind: Option<String>,
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub limit: i64,
    /// The id before which the page begins.
    pub before: Option<i64>,
}

/// Returns a page of events, the newest first. An owner does not see the text of a mail host, which may name others.
pub async fn event_page(pool: &PgPool, filter: &EventFilter) -> Result<Vec<Event>, sqlx::Error> {
    // For few mailboxes, the query reads each mailbox's last events; for more, it reads all events until enough are the
    // owner's.
    const THEIRS: &str = "
        WITH theirs AS (SELECT id, email FROM mailboxes WHERE user_id = $1 AND ($2::bigint IS NULL OR id = $2))
        SELECT e.id, e.at, e.kind, e.mailbox, u.email AS user, e.worker_id, e.reason,
               CASE WHEN e.kind = 'mail-alert' THEN '' ELSE regexp_replace(e.detail, '(; )?last result: .*$', '') END AS detail
        FROM (
            (SELECT one.*, theirs.email AS mailbox FROM theirs CROSS JOIN LATERAL (
                SELECT * FROM events e
                WHERE e.mailbox_id = theirs.id AND ($3::text IS NULL OR e.kind = $3)
                  AND ($4::timestamptz IS NULL OR e.at >= $4) AND ($5::timestamptz IS NULL OR e.at < $5)
                  AND ($6::bigint IS NULL OR e.id < $6)
                ORDER BY e.id DESC LIMIT $7) AS one
             ORDER BY one.id DESC LIMIT $7)
            UNION ALL
            (SELECT e.*, NULL FROM events e
             WHERE e.user_id = $1 AND e.mailbox_id IS NULL AND $2::bigint IS NULL AND ($3::text IS NULL OR e.kind = $3)
               AND ($4::timestamptz IS NULL OR e.at >= $4) AND ($5::timestamptz IS NULL OR e.at < $5)
               AND ($6::bigint IS NULL OR e.id < $6)
             ORDER BY e.id DESC LIMIT $7)
        ) AS e
        LEFT JOIN users u ON u.id = e.user_id
        ORDER BY e.id DESC LIMIT $7";
    const EVENTS: &str = "
        SELECT e.id, e.at, e.kind, m.email AS mailbox, u.email AS user, e.worker_id, e.reason,
               CASE WHEN $1::bigint IS NULL THEN e.detail WHEN e.kind = 'mail-alert' THEN ''
                    ELSE regexp_replace(e.detail, '(; )?last result: .*$', '') END AS detail
        FROM events e
        LEFT JOIN mailboxes m ON m.id = e.mailbox_id
        LEFT JOIN users u ON u.id = e.user_id
        WHERE ($1::bigint IS NULL OR m.user_id = $1 OR e.mailbox_id IS NULL AND e.user_id = $1)
          AND ($2::bigint IS NULL OR e.mailbox_id = $2)
          AND ($3::text IS NULL OR e.kind = $3)
          AND ($4::timestamptz IS NULL OR e.at >= $4) AND ($5::timestamptz IS NULL OR e.at < $5)
          AND ($6::bigint IS NULL OR e.id < $6)
        ORDER BY e.id DESC LIMIT $7";
    let statement = if filter.owns_few { THEIRS } else { EVENTS };
    sqlx::query_as(statement)
        .bind(filter.owner.map(|owner| owner.0))
        .bind(filter.mailbox)
        .bind(&filter.kind)
        .bind(filter.since)
        .bind(filter.until)
        .bind(filter.before)
        .bind(filter.limit)
        .fetch_all(pool)
        .await
}

/// A row of the log, as its owner may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// The sender's day for which it counts.
    pub day: NaiveDate,
    pub mailbox_id: i64,
    /// Absent if the partner belongs to another user, like `recipient` and `notes`.
    pub partner_id: Option<i64>,
    pub sender: String,
    pub recipient: Option<String>,
    pub subject: String,
    pub message_id: String,
    /// `SENT`, `REPLIED` or `FAILED`.
    pub status: String,
    pub reason: Option<String>,
    pub smtp_code: Option<i16>,
    pub enhanced_code: Option<String>,
    pub latency_ms: Option<i32>,
    pub worker_id: String,
    /// The mail host's text.
    pub notes: Option<String>,
}

/// A `LogPageFilter` selects rows of the log; all fields that are set must match.
#[derive(Clone, Debug, Default)]
pub struct LogPageFilter {
    /// The user whose mailboxes sent the mails.
    pub owner: Option<UserId>,
    /// The sender's mailbox.
    pub mailbox: Option<i64>,
    /// The status: SENT, REPLIED or FAILED.
    pub status: Option<String>,
    pub reason: Option<String>,
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub limit: i64,
    /// The day and the id before which the page begins.
    pub before: Option<(NaiveDate, i64)>,
}

/// Returns a page of the log, the newest days and reservations first. Columns that name another user's mailbox are
/// hidden from an owner.
///
/// Each day is a table of its own. So the query reads a few days first, and more only while the page is not full.
pub async fn log_page(pool: &PgPool, filter: &LogPageFilter, now: DateTime<Utc>) -> Result<Vec<LogEntry>, sqlx::Error> {
    // A day differs by at most two dates from the UTC date of its rows. A late answer corrects a row up to a day later.
    let first = filter.since.map_or(EARLIEST, |since| since.date_naive() - Days::new(3));
    let last = filter.until.unwrap_or(now).date_naive() + Days::new(2);
    let mut before = filter.before.unwrap_or((last, i64::MAX));
    let mut rows = Vec::new();
    for days in DAYS_AT_ONCE {
        let from = before.0.checked_sub_days(Days::new(days)).unwrap_or(first).max(first);
        rows.extend(log_days(pool, filter, from, before, filter.limit - rows.len() as i64).await?);
        if rows.len() as i64 >= filter.limit || from <= first {
            break;
        }
        before = (from, i64::MIN);
    }
    Ok(rows)
}

/// Returns the rows from day `from` on that come before the row of this day and id. It uses the keys of the partitions'
/// indexes, so no page reads or sorts more than itself.
async fn log_days(
    pool: &PgPool,
    filter: &LogPageFilter,
    from: NaiveDate,
    before: (NaiveDate, i64),
    limit: i64,
) -> Result<Vec<LogEntry>, sqlx::Error> {
    const LOGS: &str = "
        SELECT l.id, l.at, l.day, l.mailbox_id, l.sender, l.subject, l.message_id, l.status, l.reason, l.smtp_code,
               l.enhanced_code, l.latency_ms, l.worker_id,
               CASE WHEN shown.whole THEN l.partner_id END AS partner_id,
               CASE WHEN shown.whole THEN l.recipient END AS recipient, CASE WHEN shown.whole THEN l.notes END AS notes
        FROM logs l, LATERAL (
            SELECT $1::bigint IS NULL OR EXISTS (SELECT FROM mailboxes p WHERE p.id = l.partner_id AND p.user_id = $1) AS whole
        ) AS shown
        WHERE ($1::bigint IS NULL OR l.mailbox_id IN (SELECT id FROM mailboxes WHERE user_id = $1))
          AND ($2::bigint IS NULL OR l.mailbox_id = $2)
          AND ($3::text IS NULL OR l.status = $3) AND ($4::text IS NULL OR l.reason = $4 AND l.status = 'FAILED')
          AND ($5::timestamptz IS NULL OR l.at >= $5) AND ($6::timestamptz IS NULL OR l.at < $6)
          AND l.day >= $7 AND l.day <= $8 AND (l.day, l.id) < ($8, $9)
        ORDER BY l.day DESC, l.id DESC LIMIT $10";
    sqlx::query_as(LOGS)
        .bind(filter.owner.map(|owner| owner.0))
        .bind(filter.mailbox)
        .bind(&filter.status)
        .bind(&filter.reason)
        .bind(filter.since)
        .bind(filter.until)
        .bind(from)
        .bind(before.0)
        .bind(before.1)
        .bind(limit)
        .fetch_all(pool)
        .await
}

/// A date earlier than any row.
const EARLIEST: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date that exists");

/// The number of days read first, then, and finally: all days.
const DAYS_AT_ONCE: [u64; 3] = [3, 30, 1_000_000];
