//! `logs` reads the log for the commands.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};

/// A `LogFilter` selects rows of the log; only fields that are set restrict it.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// An address, in any case, of the sender or of the recipient.
    pub mailbox: Option<String>,
    /// The status: SENT, REPLIED or FAILED.
    pub status: Option<String>,
    pub reason: Option<String>,
    /// The beginning of the time range, inclusive; `until` is its end, exclusive.
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    /// The largest number of rows: the latest ones.
    pub limit: i64,
}

/// A `LogView` is a row of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub struct LogView {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// The sender's day that the mail counts for.
    pub day: NaiveDate,
    pub mailbox_id: i64,
    pub partner_id: i64,
    pub sender: String,
    pub recipient: String,
    pub subject: String,
    pub message_id: String,
    pub status: String,
    pub reason: Option<String>,
    pub smtp_code: Option<i16>,
    pub enhanced_code: Option<String>,
    pub latency_ms: Option<i32>,
    pub worker_id: String,
    pub notes: Option<String>,
}

// The filter has no day, but a condition on the day limits the read to the partitions of the requested time. The day
// can differ from its UTC date by two dates, and a late answer corrects its row up to a day later.
const LATEST: &str = "
    SELECT * FROM (
        SELECT id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason, smtp_code,
               enhanced_code, latency_ms, worker_id, notes
        FROM logs
        WHERE ($1::text IS NULL OR lower(sender) = lower($1) OR lower(recipient) = lower($1))
          AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR reason = $3)
          AND at >= $4 AND at < $5 AND day >= $6 AND day <= $7
        ORDER BY at DESC, id DESC LIMIT $8
    ) AS latest ORDER BY at, id";

/// Reads the latest rows that match `filter`, the newest last.
pub async fn logs(pool: &PgPool, filter: &LogFilter) -> Result<Vec<LogView>, sqlx::Error> {
    let (since, until) = (filter.since.unwrap_or(DateTime::UNIX_EPOCH), filter.until.unwrap_or(FAR));
    sqlx::query_as(LATEST)
        .bind(&filter.mailbox)
        .bind(&filter.status)
        .bind(&filter.reason)
        .bind(since)
        .bind(until)
        .bind(since.date_naive() - chrono::Days::new(3))
        .bind(until.date_naive() + chrono::Days::new(2))
        .bind(filter.limit)
        .fetch_all(pool)
        .await
}

/// A time later than any row.
const FAR: DateTime<Utc> = NaiveDate::from_ymd_opt(9999, 1, 1)
    .expect("a date that exists")
    .and_hms_opt(0, 0, 0)
    .expect("a time that exists")
    .and_utc();
