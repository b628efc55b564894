//! `histories` sums up the mailboxes' results over the retained days.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, PgPool};

/// A `History` sums up the days of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct History {
    pub mailbox_id: i64,
    pub sent: i64,
    /// The number of refused or uncertain mails.
    pub failed: i64,
    /// The total latency of the sent mails in ms; `timed` is the number of mails with a latency.
    pub latency_ms: i64,
    pub timed: i64,
    pub last_sent_at: Option<DateTime<Utc>>,
    /// The number of days in a row, up to now, on which the mailbox sent its whole quota; a day without a quota does
    /// not break the row.
    pub streak: i64,
}

/// Returns the history of these mailboxes, each given with its date today. A mailbox without a day has none.
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
