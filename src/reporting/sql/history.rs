//! What mailboxes did over the days that are kept.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, PgPool};

/// A mailbox's days, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct History {
    pub mailbox_id: i64,
    pub sent: i64,
    /// Refused or uncertain.
    pub failed: i64,
    /// What the mails took that were sent, and how many of them were timed.
    pub latency_ms: i64,
    pub timed: i64,
    pub last_sent_at: Option<DateTime<Utc>>,
    /// Days in a row, up to now, on which it sent all that it owed; a day on which it owed nothing breaks no row.
    pub streak: i64,
}

/// Returns the history of these mailboxes, each with the date that it has today; none of one that never had a day.
pub async fn histories(pool: &PgPool, mailboxes: &[(i64, NaiveDate)]) -> Result<Vec<History>, sqlx::Error> {
    const HISTORIES: &str = "
        WITH asked AS (SELECT * FROM unnest($1::bigint[], $2::date[]) AS asked (id, today)),
        days AS (
            SELECT d.*, max(d.day) FILTER (WHERE d.quota > 0 AND d.sent < d.quota AND d.day < asked.today)
                        OVER (PARTITION BY d.mailbox_id) AS broken
            FROM mailbox_days d JOIN asked ON asked.id = d.mailbox_id
        )
        SELECT mailbox_id, sum(sent)::bigint AS sent, sum(failed + uncertain)::bigint AS failed,
               sum(latency_ms)::bigint AS latency_ms, sum(timed)::bigint AS timed, max(last_sent_at) AS last_sent_at,
               count(*) FILTER (WHERE quota > 0 AND sent >= quota AND (broken IS NULL OR day > broken)) AS streak
        FROM days GROUP BY mailbox_id ORDER BY mailbox_id";
    let (ids, todays): (Vec<i64>, Vec<NaiveDate>) = mailboxes.iter().copied().unzip();
    sqlx::query_as(HISTORIES).bind(ids).bind(todays).fetch_all(pool).await
}
