//! Lists of which there may be many: mailboxes, users, events and the log, a page at a time and of one owner or of all.

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool, Postgres, postgres::PgArguments, query::QueryScalar};
use utoipa::ToSchema;

use super::{events::Event, quota::Page};
use crate::{adapters::postgres::transaction, domain::id::UserId};

/// Which mailboxes are asked for; what is set must all hold.
#[derive(Clone, Debug, Default)]
pub struct MailboxFilter {
    /// The owner: whose they must be.
    pub owner: Option<UserId>,
    /// Addresses of an owner, of a mail host and a domain, in lower case.
    pub user: Option<String>,
    pub host: Option<String>,
    pub domain: Option<String>,
    /// `active`, `off`, `paused`, `disabled` or `removed`; the removed ones are listed only so.
    pub state: Option<String>,
    /// A part of the address, in any case.
    pub search: Option<String>,
}

/// What is asked for nothing of folds away when it is planned (`pool::for_requests`), and an index is left.
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

/// Counts the mailboxes that `filter` lets pass.
pub async fn count_mailboxes(pool: &PgPool, filter: &MailboxFilter, now: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    filtered(COUNT, filter, held(pool, now).await?, now).fetch_one(pool).await
}

const COUNT: &str = concat!("SELECT count(*)", filtered_mailboxes!());

/// Returns how many mailboxes `filter` lets pass, which looks for a part of the address, and the ids of a page of them. All
/// addresses are read for it, mostly once, and from an index of them alone.
pub async fn found_mailboxes(
    pool: &PgPool,
    filter: &MailboxFilter,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(i64, Vec<i64>), sqlx::Error> {
    const FEW: &str = concat!("SELECT m.id", filtered_mailboxes!(), "LIMIT $10");
    let held = held(pool, now).await?;
    let mut transaction = transaction::begin(pool).await?;
    // By its costs, which don't know what lies in memory, the index is about as good as the table; it is five times as fast.
    sqlx::query("SET LOCAL enable_seqscan = off").execute(&mut *transaction).await?;
    let few = filtered(FEW, filter, held.clone(), now).bind(FOUND_AT_ONCE + 1).fetch_all(&mut *transaction).await?;
    if let Some(all) = in_order(few) {
        return Ok((all.len() as i64, page.of(&all)));
    }
    let total = filtered(COUNT, filter, held, now).fetch_one(&mut *transaction).await?;
    transaction.rollback().await?;
    Ok((total, mailbox_ids(pool, filter, page, now).await?))
}

/// So many are found at once; where more fit, a page of them is near.
pub(super) const FOUND_AT_ONCE: i64 = 5_000;

/// Orders what was found; none where it is more than [`FOUND_AT_ONCE`].
pub(super) fn in_order(mut found: Vec<i64>) -> Option<Vec<i64>> {
    found.sort_unstable();
    (found.len() as i64 <= FOUND_AT_ONCE).then_some(found)
}

/// Returns the ids of a page of the mailboxes that `filter` lets pass.
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

/// The hosts that are paused for everybody; and what is paused for one owner, as the user's id and the host or domain, or as a
/// `login_key`.
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

/// Says whether the mailbox `id` is enrolled and one of `owner`, or of anybody.
pub async fn owns(pool: &PgPool, owner: Option<UserId>, id: i64) -> Result<bool, sqlx::Error> {
    const OWNS: &str = "SELECT EXISTS (SELECT FROM mailboxes WHERE id = $1 AND ($2::bigint IS NULL OR user_id = $2))";
    sqlx::query_scalar(OWNS).bind(id).bind(owner.map(|owner| owner.0)).fetch_one(pool).await
}

/// Which events are asked for; what is set must all hold.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only what happened to this user and its mailboxes.
    pub owner: Option<UserId>,
    /// Whether those are some hundred at most.
    pub owns_few: bool,
    pub mailbox: Option<i64>,
    pub kind: Option<String>,
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub limit: i64,
    /// Only those before the one with this id.
    pub before: Option<i64>,
}

/// Returns a page of events, the newest first. An owner is not told the words of a mail host: they may name others.
pub async fn event_page(pool: &PgPool, filter: &EventFilter) -> Result<Vec<Event>, sqlx::Error> {
    // Of a few mailboxes each one's own last events are read, of more all events until there are enough of theirs.
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
    /// None where the partner is somebody else's; so with `recipient` and `notes`.
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
    /// The mail host's words.
    pub notes: Option<String>,
}

/// Which rows of the log are asked for; what is set must all hold.
#[derive(Clone, Debug, Default)]
pub struct LogPageFilter {
    /// Only what this user's mailboxes sent.
    pub owner: Option<UserId>,
    /// The sender.
    pub mailbox: Option<i64>,
    /// SENT, REPLIED or FAILED.
    pub status: Option<String>,
    pub reason: Option<String>,
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    pub limit: i64,
    /// Only those before the one of this day with this id.
    pub before: Option<(NaiveDate, i64)>,
}

/// Returns a page of the log, the newest days and reservations first. What names a mailbox of somebody else's is left out
/// of what an owner is told.
///
/// Each day is a table of its own: so a few days are asked first, and more only as long as the page is not full.
pub async fn log_page(pool: &PgPool, filter: &LogPageFilter, now: DateTime<Utc>) -> Result<Vec<LogEntry>, sqlx::Error> {
    // A day is at most two dates off the date of its rows in UTC, and a late answer corrects a row up to a day later.
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

/// The rows of the days from `from` on that come before the one of this day with this id. By the keys of the partitions'
/// indices: no page reads or sorts more than itself.
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

/// Earlier than any row.
const EARLIEST: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a date that exists");

/// How many days are asked at first, then, and in the end: all there are.
const DAYS_AT_ONCE: [u64; 3] = [3, 30, 1_000_000];
