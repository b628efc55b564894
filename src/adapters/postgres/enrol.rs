//! This module enrols mailboxes in the database: it reads stored mailboxes, and writes many of them in few statements.
//!
//! An import is one transaction under one advisory lock. Rows of mailboxes are locked only while they are written, in
//! the order of their ids, like in every statement of the ledger.

mod arrays;
mod statistics;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Row};

use self::arrays::Arrays;
pub use self::statistics::analyze;
use super::verification::verification_events;
use crate::domain::{
    enrolment::{Profile, REASONS_OF_ACCESS},
    id::{MailboxId, UserId},
    mailbox::Endpoint,
    ramp::Ramp,
    time::{Schedule, Weekdays, Window},
};

/// A `StoredMailbox` is a mailbox as the database stores it.
#[derive(Clone, Debug)]
pub struct StoredMailbox {
    pub id: MailboxId,
    pub user: UserId,
    pub profile: Profile,
    /// The sealed password; `None` for a removed mailbox.
    pub sealed_password: Option<Vec<u8>>,
    pub state: String,
    pub reason: Option<String>,
    /// The reason why the mailbox receives from other owners; `None` if it is not verified.
    pub verified_by: Option<String>,
}

impl StoredMailbox {
    /// Returns whether the mailbox was removed: only its log and its settings remain.
    pub fn is_removed(&self) -> bool {
        self.state == "removed"
    }
}

/// A `MailboxWrite` is a mailbox to write.
#[derive(Clone, Debug)]
pub struct MailboxWrite {
    pub id: MailboxId,
    pub user: UserId,
    pub profile: Profile,
    /// The new sealed password; `None` keeps the stored one.
    pub sealed_password: Option<Vec<u8>>,
    /// True if the access data changed. A mailbox that its old access had disabled, or that is paused for failures in a
    /// row, then becomes active again.
    pub new_access: bool,
    /// The reason why the mailbox receives from other owners from now on. `None` leaves that to the stored value, and
    /// to the user's confirmed domains.
    pub verified_by: Option<&'static str>,
}

/// An `Event` is a change to record in `events`.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: &'static str,
    pub mailbox: Option<MailboxId>,
    pub user: Option<UserId>,
    pub reason: String,
    pub detail: String,
}

/// Takes the enrolment lock for this transaction, and keeps the number of shards unchanged. Returns that number; 0 in a
/// database that was never migrated by `warmup migrate`.
pub async fn begin(connection: &mut PgConnection) -> Result<u16, sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('warmup enrolment'))").execute(&mut *connection).await?;
    sqlx::query("SELECT pg_advisory_xact_lock_shared(hashtext('warmup shards'))").execute(&mut *connection).await?;
    let shards: i64 = sqlx::query_scalar("SELECT count(*) FROM shards").fetch_one(connection).await?;
    Ok(shards.clamp(0, i64::from(u16::MAX)) as u16)
}

/// Returns the stored mailboxes among `keys` (addresses in lower case), by key.
pub async fn stored(
    connection: &mut PgConnection,
    keys: &[String],
) -> Result<HashMap<String, StoredMailbox>, sqlx::Error> {
    let rows: Vec<StoredRow> = sqlx::query_as(STORED).bind(keys).fetch_all(connection).await?;
    rows.into_iter().map(|row| row.stored()).collect()
}

const STORED: &str = "
    SELECT lower(m.email) AS key, m.id, m.user_id, m.email, u.email AS user_email, m.display_name, m.username,
           m.sealed_password, m.smtp_host, m.smtp_port, m.smtp_security, m.imap_host, m.imap_port, m.imap_security,
           m.timezone, m.window_start, m.window_end, m.days, m.ramp_start, m.ramp_step, m.daily_max, m.reply_rate,
           m.enabled, m.state, m.reason, m.verified_by
    FROM mailboxes m JOIN users u ON u.id = m.user_id
    WHERE lower(m.email) = ANY ($1)";

#[derive(FromRow)]
struct StoredRow {
    key: String,
    id: i64,
    user_id: i64,
    email: String,
    user_email: String,
    display_name: String,
    username: String,
    sealed_password: Option<Vec<u8>>,
    smtp_host: String,
    smtp_port: i32,
    smtp_security: String,
    imap_host: Option<String>,
    imap_port: Option<i32>,
    imap_security: Option<String>,
    timezone: String,
    window_start: i16,
    window_end: i16,
    days: i16,
    ramp_start: i16,
    ramp_step: i16,
    daily_max: i16,
    reply_rate: i16,
    enabled: bool,
    state: String,
    reason: Option<String>,
    verified_by: Option<String>,
}

impl StoredRow {
    fn stored(self) -> Result<(String, StoredMailbox), sqlx::Error> {
        let smtp = endpoint(self.smtp_host, self.smtp_port, &self.smtp_security)?;
        let imap = match (self.imap_host, self.imap_port, self.imap_security) {
            (Some(host), Some(port), Some(security)) => Some(endpoint(host, port, &security)?),
            _ => None,
        };
        let profile = Profile {
            email: self.email,
            user: self.user_email,
            display_name: self.display_name,
            username: self.username,
            smtp,
            imap,
            schedule: schedule(&self.timezone, self.window_start, self.window_end, self.days)?,
            ramp: Ramp { start: self.ramp_start as u16, step: self.ramp_step as u16, daily_max: self.daily_max as u16 },
            reply_rate: self.reply_rate as u8,
            enabled: self.enabled,
        };
        let stored = StoredMailbox {
            id: MailboxId(self.id),
            user: UserId(self.user_id),
            profile,
            sealed_password: self.sealed_password,
            state: self.state,
            reason: self.reason,
            verified_by: self.verified_by,
        };
        Ok((self.key, stored))
    }
}

/// Reads a schedule from its columns. Returns `Decode` for a time zone that this release does not know.
pub(crate) fn schedule(zone: &str, start: i16, end: i16, days: i16) -> Result<Schedule, sqlx::Error> {
    let unknown =
        |what: &str| sqlx::Error::Decode(format!("{what} in table mailboxes is unknown to this release").into());
    Ok(Schedule {
        zone: zone.parse().map_err(|_| unknown(&format!("time zone {zone}")))?,
        window: Window::new(start as u16, end as u16).ok_or_else(|| unknown("a window"))?,
        days: Weekdays::from_bits(days as u8).ok_or_else(|| unknown("a set of weekdays"))?,
    })
}

/// Reads an endpoint from its columns.
pub(crate) fn endpoint(host: String, port: i32, security: &str) -> Result<Endpoint, sqlx::Error> {
    Ok(Endpoint {
        host,
        port: port as u16,
        security: security.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))?,
    })
}

/// Returns the ids of the users `emails` (lower case), and creates the missing ones. The second value names the created
/// users.
pub async fn users(
    connection: &mut PgConnection,
    emails: &[String],
) -> Result<(HashMap<String, UserId>, Vec<String>), sqlx::Error> {
    const MAKE: &str = "
        INSERT INTO users (email) SELECT unnest($1::text[]) ON CONFLICT (lower(email)) DO NOTHING RETURNING email";
    let made: Vec<String> = sqlx::query_scalar(MAKE).bind(emails).fetch_all(&mut *connection).await?;
    const FIND: &str = "SELECT lower(email), id FROM users WHERE lower(email) = ANY ($1)";
    let found: Vec<(String, i64)> = sqlx::query_as(FIND).bind(emails).fetch_all(connection).await?;
    Ok((found.into_iter().map(|(email, id)| (email, UserId(id))).collect(), made))
}

/// Returns the number of mailboxes of `user` that are not removed.
pub async fn enrolled_of(connection: &mut PgConnection, user: UserId) -> Result<usize, sqlx::Error> {
    const COUNT: &str = "SELECT count(*) FROM mailboxes WHERE user_id = $1 AND state <> 'removed'";
    let count: i64 = sqlx::query_scalar(COUNT).bind(user.0).fetch_one(connection).await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Draws ids for `count` new mailboxes, in ascending order: the password is sealed with the id before the row exists.
pub async fn draw_ids(connection: &mut PgConnection, count: usize) -> Result<Vec<MailboxId>, sqlx::Error> {
    const DRAW: &str = "
        SELECT nextval(pg_get_serial_sequence('mailboxes', 'id')) FROM generate_series(1, $1)";
    let mut ids: Vec<i64> = sqlx::query_scalar(DRAW).bind(count as i64).fetch_all(connection).await?;
    ids.sort_unstable();
    Ok(ids.into_iter().map(MailboxId).collect())
}

/// Inserts new mailboxes, spread over `shards`.
pub async fn insert(
    connection: &mut PgConnection,
    entries: &[MailboxWrite],
    shards: u16,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    Arrays::of(entries, shards).bind_to(sqlx::query(INSERT).bind(now)).execute(connection).await.map(drop)
}

/// Expands to the mailboxes of [`Arrays`] as rows; they are the parameters from the second on.
macro_rules! new_mailboxes {
    () => {
        "unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[],
                $10::integer[], $11::text[], $12::text[], $13::integer[], $14::text[], $15::text[], $16::smallint[],
                $17::smallint[], $18::smallint[], $19::smallint[], $20::smallint[], $21::smallint[], $22::smallint[],
                $23::boolean[], $24::integer[], $25::boolean[], $26::text[])
         AS new (id, user_id, email, domain, display_name, username, sealed_password, smtp_host, smtp_port,
                 smtp_security, imap_host, imap_port, imap_security, timezone, window_start, window_end, days,
                 ramp_start, ramp_step, daily_max, reply_rate, enabled, shard, new_access, verified_by)"
    };
}

const INSERT: &str = concat!(
    "
    WITH written AS (
    INSERT INTO mailboxes (id, user_id, email, domain, display_name, username, sealed_password, smtp_host, smtp_port,
                           smtp_security, imap_host, imap_port, imap_security, timezone, window_start, window_end, days,
                           ramp_start, ramp_step, daily_max, reply_rate, enabled, shard, enrolled_at, changed_at,
                           able_since, verified_by)
    SELECT id, user_id, email, domain, display_name, username, sealed_password, smtp_host, smtp_port,
           smtp_security, imap_host, imap_port, imap_security, timezone, window_start, window_end, days,
           ramp_start, ramp_step, daily_max, reply_rate, enabled, shard, $1, $1, $1,
           COALESCE(verified_by, (SELECT 'domain' FROM verified_domains v WHERE v.user_id = new.user_id AND v.domain = new.domain))
    FROM ",
    new_mailboxes!(),
    "
    -- What an admin enrols is verified by that: `mailbox-enrolled` says it.
    RETURNING id, user_id, domain, CASE verified_by WHEN 'admin' THEN verified_by END AS was, verified_by),",
    verification_events!("$1"),
    "
    SELECT count(*) FROM written"
);

/// Writes `entries`, ordered by id, over the stored mailboxes. Returns the mailboxes that became active again: removed
/// ones, and those that their old access had disabled.
pub async fn update(
    connection: &mut PgConnection,
    entries: &[MailboxWrite],
    now: DateTime<Utc>,
) -> Result<Vec<MailboxId>, sqlx::Error> {
    let query = Arrays::of(entries, 1).bind_to(sqlx::query(UPDATE).bind(now)).bind(REASONS_OF_ACCESS);
    let reactivated = query.fetch_all(connection).await?;
    reactivated.iter().map(|row| row.try_get("id").map(MailboxId)).collect()
}

const UPDATE: &str = concat!(
    "
    WITH new AS MATERIALIZED (SELECT * FROM ",
    new_mailboxes!(),
    "),
    old AS MATERIALIZED (
        SELECT m.id, m.verified_by AS was, m.state = 'removed' AS removed,
               m.state = 'removed'
               OR m.state = 'disabled' AND new.new_access AND m.reason = ANY ($27)
               OR m.state = 'paused' AND new.new_access AND m.reason IN ('refused-in-a-row', 'failed-in-a-row') AS reactivate
        FROM mailboxes m JOIN new USING (id) ORDER BY m.id FOR UPDATE OF m),
    written AS (
        UPDATE mailboxes m SET
            user_id = new.user_id, display_name = new.display_name, username = new.username,
            sealed_password = coalesce(new.sealed_password, m.sealed_password),
            smtp_host = new.smtp_host, smtp_port = new.smtp_port, smtp_security = new.smtp_security,
            imap_host = new.imap_host, imap_port = new.imap_port, imap_security = new.imap_security,
            timezone = new.timezone, window_start = new.window_start, window_end = new.window_end, days = new.days,
            ramp_start = new.ramp_start, ramp_step = new.ramp_step, daily_max = new.daily_max,
            reply_rate = new.reply_rate, enabled = new.enabled,
            state = CASE WHEN old.reactivate THEN 'active' ELSE m.state END,
            reason = CASE WHEN NOT old.reactivate THEN m.reason END,
            paused_until = CASE WHEN NOT old.reactivate THEN m.paused_until END,
            refusals = CASE WHEN old.reactivate OR new.new_access THEN 0 ELSE m.refusals END,
            failures = CASE WHEN old.reactivate OR new.new_access THEN 0 ELSE m.failures END,
            receives = m.receives OR old.removed,
            receive_reason = CASE WHEN NOT old.removed THEN m.receive_reason END,
            receive_until = CASE WHEN NOT old.removed THEN m.receive_until END,
            changed_at = $1,
            -- A code, or a domain, speaks for the owner that it verified.
            verified_by = COALESCE(new.verified_by, CASE
                WHEN m.user_id = new.user_id OR m.verified_by NOT IN ('code', 'domain') THEN m.verified_by END, (
                SELECT 'domain' FROM verified_domains v WHERE v.user_id = new.user_id AND v.domain = m.domain)),
            able_since = CASE WHEN old.reactivate OR new.enabled AND NOT m.enabled THEN $1 ELSE m.able_since END
        FROM new JOIN old USING (id) WHERE m.id = new.id
        RETURNING m.id, m.user_id, m.domain, old.was, m.verified_by, old.reactivate),",
    verification_events!("$1"),
    "
    SELECT id FROM written WHERE reactivate ORDER BY id"
);

/// Inserts events.
pub async fn record(connection: &mut PgConnection, events: &[Event], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    const RECORD: &str = "
        INSERT INTO events (at, kind, mailbox_id, user_id, reason, detail)
        SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[])";
    sqlx::query(RECORD)
        .bind(now)
        .bind(events.iter().map(|event| event.kind).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.mailbox.map(|id| id.0)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.user.map(|id| id.0)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.reason.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| event.detail.as_str()).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}
