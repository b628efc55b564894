//! `Snapshot` reads one day of the ledger by plain SQL, which shares nothing with the code that wrote the
//! ledger.

use chrono::NaiveDate;
use sqlx::PgPool;

/// A `Snapshot` holds the rows of one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub mailboxes: Vec<MailboxRow>,
    pub days: Vec<DayRow>,
    pub logs: Vec<LogRow>,
    /// The sender of each mail in flight.
    pub in_flight: Vec<i64>,
}

/// A row of `mailboxes`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct MailboxRow {
    pub id: i64,
    pub email: String,
    /// True if other mailboxes may send to it.
    pub receives: bool,
}

/// A row of `mailbox_days`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DayRow {
    pub mailbox_id: i64,
    pub quota: i16,
    pub reserved: i16,
    pub sent: i16,
    pub failed: i16,
    pub uncertain: i16,
    pub replied: i16,
}

/// A row of `logs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    pub id: i64,
    pub mailbox_id: i64,
    pub sender: String,
    pub recipient: String,
    pub message_id: String,
    pub status: Status,
    /// The id of the mail that this reply answers; `None` for a mail.
    pub answers: Option<i64>,
}

/// The outcome of a mail according to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    Sent,
    Replied,
    /// FAILED, definitely: the recipient can't have the mail.
    Refused,
    /// FAILED with reason `uncertain`: the mail may have arrived.
    Uncertain,
}

impl Snapshot {
    /// Reads the rows of `day`, all at one instant.
    pub async fn read(pool: &PgPool, day: NaiveDate) -> Result<Snapshot, sqlx::Error> {
        let mut moment = pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *moment).await?;
        let mailboxes = "SELECT id, email, receives FROM mailboxes WHERE state <> 'removed' ORDER BY id";
        let days = "SELECT mailbox_id, quota, reserved, sent, failed, uncertain, replied FROM mailbox_days \
                    WHERE day = $1 ORDER BY mailbox_id";
        let logs = "SELECT id, mailbox_id, sender, recipient, message_id, status, reason, answers FROM logs \
                    WHERE day = $1 ORDER BY id";
        let snapshot = Snapshot {
            mailboxes: sqlx::query_as(mailboxes).fetch_all(&mut *moment).await?,
            days: sqlx::query_as(days).bind(day).fetch_all(&mut *moment).await?,
            logs: sqlx::query_as::<_, RawLog>(logs)
                .bind(day)
                .fetch_all(&mut *moment)
                .await?
                .into_iter()
                .map(RawLog::read)
                .collect(),
            in_flight: sqlx::query_scalar("SELECT mailbox_id FROM in_flight WHERE day = $1")
                .bind(day)
                .fetch_all(&mut *moment)
                .await?,
        };
        moment.rollback().await?;
        Ok(snapshot)
    }
}

#[derive(sqlx::FromRow)]
struct RawLog {
    id: i64,
    mailbox_id: i64,
    sender: String,
    recipient: String,
    message_id: String,
    status: String,
    reason: Option<String>,
    answers: Option<i64>,
}

impl RawLog {
    fn read(self) -> LogRow {
        let RawLog { id, mailbox_id, sender, recipient, message_id, status, reason, answers } = self;
        let status = match (status.as_str(), reason.as_deref()) {
            ("SENT", _) => Status::Sent,
            ("REPLIED", _) => Status::Replied,
            (_, Some("uncertain")) => Status::Uncertain,
            // The check constraint of the table permits only FAILED here.
            _ => Status::Refused,
        };
        LogRow { id, mailbox_id, sender, recipient, message_id, status, answers }
    }
}

#[cfg(test)]
mod tests {
    use warmup_support::world;

    use super::*;

    const DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a date that exists");

    const ROWS: &str = "
        SELECT ensure_log_partitions('2026-11-24', '2026-11-25');
        INSERT INTO mailboxes (id, user_id, email, domain, username, sealed_password, smtp_host, smtp_port,
                               smtp_security, timezone, window_start, window_end, days, ramp_start, ramp_step,
                               daily_max, reply_rate, shard, state, reason)
        SELECT id, 1, 'box' || id || '@example.org', 'example.org', 'box', 'sealed', 'mail.example.org', 465, 'tls',
               'UTC', 540, 1020, 127, 30, 0, 30, 0, 0, state, nullif(state, 'active')
        FROM (VALUES (1, 'active'), (2, 'paused'), (3, 'removed')) AS of (id, state);
        INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent, failed, uncertain, replied) VALUES
            (1, '2026-11-24', 30, 9, 3, 5, 4, 6), (1, '2026-11-25', 30, 0, 0, 0, 0, 0);
        INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason,
                          worker_id)
        SELECT id, now(), day::date, 1, 2, 'a', 'b', '', '<' || id || '@example.org>', status, reason, 'w'
        FROM (VALUES (1, '2026-11-24', 'SENT', NULL), (2, '2026-11-24', 'FAILED', 'uncertain'),
                     (3, '2026-11-24', 'FAILED', 'auth-refused'), (4, '2026-11-24', 'REPLIED', NULL),
                     (5, '2026-11-25', 'SENT', NULL)) AS of (id, day, status, reason);
        INSERT INTO in_flight (mailbox_id, partner_id, user_id, day, round, shard, epoch, worker_id, run, batch_id,
                               message_id, subject, sender, recipient, limited)
        VALUES (1, 2, 1, '2026-11-24', 0, 0, 1, 'w', gen_random_uuid(), 1, '<6@example.org>', '', 'a', 'b', false);";

    #[tokio::test]
    async fn the_rows_of_the_day_are_read_and_of_no_other() {
        let database = world::postgres().await;
        sqlx::raw_sql(ROWS).execute(database.pool()).await.unwrap();
        let snapshot = Snapshot::read(database.pool(), DAY).await.unwrap();
        let ids: Vec<i64> = snapshot.mailboxes.iter().map(|mailbox| mailbox.id).collect();
        assert_eq!(ids, [1, 2]);
        let day = DayRow { mailbox_id: 1, quota: 30, reserved: 9, sent: 3, failed: 5, uncertain: 4, replied: 6 };
        assert_eq!(snapshot.days, [day]);
        let statuses: Vec<Status> = snapshot.logs.iter().map(|row| row.status).collect();
        assert_eq!(statuses, [Status::Sent, Status::Uncertain, Status::Refused, Status::Replied]);
        assert_eq!(snapshot.in_flight, [1]);
    }
}
