//! This module writes an older system's mails into the log, with days that count them.
//!
//! ```text
//! mails of one read ─▶ skip imported mails ─▶ skip days that this system counts ─▶ logs ─▶ mailbox_days
//! ```
//!
//! A past day has closed counters that equal its rows, like every day. The transaction that writes the rows computes
//! the counters from them, so that mails of one day may come in several transactions. The reason `imported` marks such
//! a day. A day that this system counted is never touched: its counters describe the mails of this system.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

/// The value of `logs.worker_id` of such a mail.
const WORKER: &str = "legacy";

/// A `PastMail` is a mail of the older system in the form to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastMail {
    pub at: DateTime<Utc>,
    /// The date of `at` in the sender's time zone.
    pub day: NaiveDate,
    /// The sender's id; 0 in a dry run if the sender is not enrolled yet.
    pub mailbox: i64,
    /// The recipient's id; 0 if the recipient is not enrolled.
    pub partner: i64,
    pub sender: String,
    pub recipient: String,
    pub subject: String,
    /// The Message-ID, derived from the row, so that the row is recognised in a later import.
    pub message_id: String,
    pub status: &'static str,
    pub notes: Option<String>,
}

/// A `Home` locates a mailbox in this system: its id, and the name of its time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    pub id: i64,
    pub zone: String,
}

/// Returns all mailboxes by their address in lower case.
pub async fn homes(connection: &mut PgConnection) -> Result<HashMap<String, Home>, sqlx::Error> {
    const HOMES: &str = "SELECT lower(email), id, timezone FROM mailboxes";
    let rows: Vec<(String, i64, String)> = sqlx::query_as(HOMES).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(email, id, zone)| (email, Home { id, zone })).collect())
}

/// Takes the import lock for this transaction, so that two imports write no mail twice.
pub async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('warmup legacy'))").execute(connection).await.map(drop)
}

/// Returns the Message-IDs of those `mails` that were imported before.
pub async fn known(connection: &mut PgConnection, mails: &[PastMail]) -> Result<HashSet<String>, sqlx::Error> {
    // Searches a day to either side: a mailbox may have moved to another time zone since.
    const KNOWN: &str = "
        SELECT message_id FROM logs
        WHERE day BETWEEN $1::date - 1 AND $2::date + 1 AND worker_id = $3 AND message_id = ANY ($4)";
    let found: Vec<String> = sqlx::query_scalar(KNOWN)
        .bind(mails.iter().map(|mail| mail.day).min())
        .bind(mails.iter().map(|mail| mail.day).max())
        .bind(WORKER)
        .bind(mails.iter().map(|mail| mail.message_id.as_str()).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().collect())
}

/// Returns the mailboxes and days among those of `mails` that this system counted itself.
pub async fn counted(
    connection: &mut PgConnection,
    mails: &[PastMail],
) -> Result<HashSet<(i64, NaiveDate)>, sqlx::Error> {
    const COUNTED: &str = "
        SELECT mailbox_id, day FROM (SELECT DISTINCT * FROM unnest($1::bigint[], $2::date[])) AS past (mailbox_id, day)
        WHERE EXISTS (SELECT FROM mailbox_days d WHERE d.mailbox_id = past.mailbox_id AND d.day = past.day
                                                   AND d.reason IS DISTINCT FROM 'imported')
           OR EXISTS (SELECT FROM logs l WHERE l.mailbox_id = past.mailbox_id AND l.day = past.day AND l.worker_id <> $3)";
    let (mailboxes, days): (Vec<i64>, Vec<NaiveDate>) = mails.iter().map(|mail| (mail.mailbox, mail.day)).unzip();
    let found: Vec<(i64, NaiveDate)> =
        sqlx::query_as(COUNTED).bind(mailboxes).bind(days).bind(WORKER).fetch_all(connection).await?;
    Ok(found.into_iter().collect())
}

/// Writes `mails` and the counters of their days. Returns the number of these days of mailboxes.
pub async fn write(connection: &mut PgConnection, mails: &[PastMail]) -> Result<u64, sqlx::Error> {
    sqlx::query("SELECT ensure_log_partitions($1, $2)")
        .bind(mails.iter().map(|mail| mail.day).min())
        .bind(mails.iter().map(|mail| mail.day).max())
        .execute(&mut *connection)
        .await?;
    const WRITE: &str = "
        INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason,
                          worker_id, notes)
        SELECT nextval('flight_ids'), at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status,
               CASE WHEN status = 'FAILED' THEN 'imported' END, $1, notes
        FROM unnest($2::timestamptz[], $3::date[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[],
                    $9::text[], $10::text[], $11::text[])
             AS past (at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, notes)";
    sqlx::query(WRITE)
        .bind(WORKER)
        .bind(mails.iter().map(|mail| mail.at).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.day).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.mailbox).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.partner).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.sender.as_str()).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.recipient.as_str()).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.subject.as_str()).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.message_id.as_str()).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.status).collect::<Vec<_>>())
        .bind(mails.iter().map(|mail| mail.notes.as_deref()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await?;
    count(connection, mails).await
}

/// Writes the counters of the days. The older system's plan is unknown: a day's quota is the number of mails sent on
/// it.
async fn count(connection: &mut PgConnection, mails: &[PastMail]) -> Result<u64, sqlx::Error> {
    const COUNT: &str = "
        INSERT INTO mailbox_days AS d (mailbox_id, day, quota, reserved, sent, failed, replied, attempts, last_sent_at,
                                       closed, reason)
        SELECT mailbox_id, day, sent, sent, sent, failed, replied, sent + failed, last_sent_at, true, 'imported'
        FROM (SELECT DISTINCT * FROM unnest($1::bigint[], $2::date[])) AS past (mailbox_id, day)
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE status = 'SENT') AS sent, count(*) FILTER (WHERE status = 'FAILED') AS failed,
                   count(*) FILTER (WHERE status = 'REPLIED') AS replied,
                   max(at) FILTER (WHERE status <> 'FAILED') AS last_sent_at
            FROM logs l WHERE l.mailbox_id = past.mailbox_id AND l.day = past.day
        ) AS sums
        ORDER BY mailbox_id, day
        ON CONFLICT (mailbox_id, day) DO UPDATE
        SET quota = EXCLUDED.quota, reserved = EXCLUDED.reserved, sent = EXCLUDED.sent, failed = EXCLUDED.failed,
            replied = EXCLUDED.replied, attempts = EXCLUDED.attempts, last_sent_at = EXCLUDED.last_sent_at
        WHERE d.reason = 'imported'";
    let (mailboxes, days): (Vec<i64>, Vec<NaiveDate>) = mails.iter().map(|mail| (mail.mailbox, mail.day)).unzip();
    sqlx::query(COUNT).bind(mailboxes).bind(days).execute(connection).await.map(|done| done.rows_affected())
}

/// A mailbox whose ramp was set: mailbox, user, days.
pub type Grown = (i64, i64, i16);

/// Sets the number of ramp days of mailboxes (addresses in lower case) of which this system has counted no day. Returns
/// the changed mailboxes, each with its user and its days, ordered by id.
pub async fn grow(connection: &mut PgConnection, ramps: &[(String, u16)]) -> Result<Vec<Grown>, sqlx::Error> {
    const GROW: &str = "
        WITH old AS MATERIALIZED (
            SELECT m.id, past.grown
            FROM mailboxes m JOIN unnest($1::text[], $2::smallint[]) AS past (email, grown) ON past.email = lower(m.email)
            WHERE m.grown = 0 AND past.grown > 0
              AND NOT EXISTS (SELECT FROM mailbox_days d WHERE d.mailbox_id = m.id AND d.closed
                                                           AND d.reason IS DISTINCT FROM 'imported')
            ORDER BY m.id FOR UPDATE OF m),
        grew AS (UPDATE mailboxes m SET grown = old.grown FROM old WHERE m.id = old.id RETURNING m.id, m.user_id, m.grown)
        SELECT * FROM grew ORDER BY id";
    let days = |grown: &u16| i16::try_from(*grown).unwrap_or(i16::MAX);
    sqlx::query_as(GROW)
        .bind(ramps.iter().map(|(email, _)| email.as_str()).collect::<Vec<_>>())
        .bind(ramps.iter().map(|(_, grown)| days(grown)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
}
