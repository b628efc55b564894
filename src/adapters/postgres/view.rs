//! What people and programs are shown: read from the database alone, never from a process.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};

use super::enrol::schedule;
use crate::domain::time::{Schedule, Todays};

/// A mailbox with its own today.
#[derive(Clone, Debug, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub struct MailboxLine {
    pub id: i64,
    pub email: String,
    pub user_email: String,
    pub display_name: String,
    pub username: String,
    pub smtp_host: String,
    pub smtp_port: i32,
    pub smtp_security: String,
    pub imap_host: Option<String>,
    pub imap_port: Option<i32>,
    pub imap_security: Option<String>,
    pub timezone: String,
    #[serde(skip)]
    window_start: i16,
    #[serde(skip)]
    window_end: i16,
    #[serde(skip)]
    days: i16,
    pub ramp_start: i16,
    pub ramp_step: i16,
    pub daily_max: i16,
    /// Earlier days that counted for the ramp.
    pub grown: i16,
    pub reply_rate: i16,
    pub enabled: bool,
    /// As a sender.
    pub state: String,
    pub reason: Option<String>,
    pub paused_until: Option<DateTime<Utc>>,
    /// As a partner.
    pub receives: bool,
    pub receive_reason: Option<String>,
    pub receive_until: Option<DateTime<Utc>>,
    /// Set while its host or domain is paused.
    pub held_by: Option<String>,
    pub today: NaiveDate,
    /// What it owes today: of the day's row, or of the ramp where there is none yet.
    pub quota: i32,
    pub reserved: i16,
    pub sent: i16,
    pub failed: i16,
    pub uncertain: i16,
    pub replied: i16,
    pub attempts: i16,
    pub in_flight: bool,
    pub next_at: Option<DateTime<Utc>>,
}

impl MailboxLine {
    /// When it sends. Returns `Decode` for a zone that this release does not know.
    pub fn schedule(&self) -> Result<Schedule, sqlx::Error> {
        schedule(&self.timezone, self.window_start, self.window_end, self.days)
    }
}

/// One of a mailbox's last days.
#[derive(Clone, Debug, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub struct DayLine {
    pub day: NaiveDate,
    pub quota: i16,
    pub reserved: i16,
    pub sent: i16,
    pub failed: i16,
    pub uncertain: i16,
    pub replied: i16,
    pub reason: Option<String>,
}

/// The fleet today: the sum of each mailbox's own today.
#[derive(Clone, Debug, Default, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub struct FleetToday {
    pub running: bool,
    pub mailboxes: i64,
    pub enabled: i64,
    pub stopped: i64,
    pub quota: i64,
    pub sent: i64,
    pub failed: i64,
    pub uncertain: i64,
    pub replied: i64,
    pub complete: i64,
    pub owing: i64,
    pub in_flight: i64,
}

/// Who owns how many shards.
#[derive(Clone, Debug, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub struct ShardOwner {
    pub worker: Option<String>,
    pub shards: i64,
}

/// A batch of the last ones.
#[derive(Clone, Debug, Serialize, FromRow)]
#[serde(rename_all = "camelCase")]
pub struct BatchLine {
    pub id: i64,
    pub worker_id: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub processed: i16,
    pub sent: i16,
    pub failed: i16,
    pub uncertain: i16,
    pub released: i16,
}

/// A group of mailboxes that one owner or one domain has, in the pool of all that take part.
#[derive(Clone, Debug, FromRow)]
pub struct Group {
    /// `user` or `domain`.
    pub kind: String,
    pub name: String,
    pub mailboxes: i64,
    pub quota: i32,
    pub pool: i64,
}

const MAILBOXES: &str = "
    SELECT m.id, m.email, u.email AS user_email, m.display_name, m.username, m.smtp_host, m.smtp_port, m.smtp_security,
           m.imap_host, m.imap_port, m.imap_security, m.timezone, m.window_start, m.window_end, m.days, m.ramp_start,
           m.ramp_step, m.daily_max, m.grown, m.reply_rate, m.enabled, m.state, m.reason, m.paused_until, m.receives,
           m.receive_reason, m.receive_until,
           (SELECT p.scope || ' ' || p.key || ': ' || p.reason FROM pauses p
            WHERE p.until > $3 AND ((p.scope = 'host' AND p.key = lower(m.smtp_host))
                                    OR (p.scope = 'domain' AND p.key = m.domain)) LIMIT 1) AS held_by,
           today.day AS today,
           COALESCE(d.quota, LEAST(m.daily_max, m.ramp_start + m.grown * m.ramp_step))::int AS quota,
           COALESCE(d.reserved, 0::smallint) AS reserved, COALESCE(d.sent, 0::smallint) AS sent,
           COALESCE(d.failed, 0::smallint) AS failed, COALESCE(d.uncertain, 0::smallint) AS uncertain,
           COALESCE(d.replied, 0::smallint) AS replied, COALESCE(d.attempts, 0::smallint) AS attempts,
           EXISTS (SELECT FROM in_flight f WHERE f.mailbox_id = m.id) AS in_flight, d.next_at
    FROM mailboxes m
    JOIN users u ON u.id = m.user_id
    JOIN unnest($1::text[], $2::date[]) AS today (zone, day) ON today.zone = m.timezone
    LEFT JOIN mailbox_days d ON d.mailbox_id = m.id AND d.day = today.day
    WHERE ($4::text IS NULL AND m.state <> 'removed') OR lower(m.email) = lower($4) OR m.id::text = $4
    ORDER BY m.id";

/// Returns the mailboxes that are not removed, or the one whose address or id is `only`.
pub async fn mailboxes(pool: &PgPool, now: DateTime<Utc>, only: Option<&str>) -> Result<Vec<MailboxLine>, sqlx::Error> {
    let todays = Todays::at(now);
    sqlx::query_as(MAILBOXES).bind(todays.zones).bind(todays.days).bind(now).bind(only).fetch_all(pool).await
}

/// Returns the last days of a mailbox, the latest first.
pub async fn last_days(pool: &PgPool, mailbox: i64, count: i64) -> Result<Vec<DayLine>, sqlx::Error> {
    const DAYS: &str = "
        SELECT day, quota, reserved, sent, failed, uncertain, replied, reason
        FROM mailbox_days WHERE mailbox_id = $1 ORDER BY day DESC LIMIT $2";
    sqlx::query_as(DAYS).bind(mailbox).bind(count).fetch_all(pool).await
}

/// Returns how the fleet's today is going.
pub async fn fleet(pool: &PgPool, now: DateTime<Utc>) -> Result<FleetToday, sqlx::Error> {
    const FLEET: &str = "
        SELECT (SELECT running FROM fleet_orders) AS running, count(*) AS mailboxes,
               count(*) FILTER (WHERE m.enabled) AS enabled,
               count(*) FILTER (WHERE m.enabled AND (m.state = 'disabled'
                   OR (m.state = 'paused' AND (m.paused_until IS NULL OR m.paused_until > $3)))) AS stopped,
               COALESCE(sum(d.quota), 0)::bigint AS quota, COALESCE(sum(d.sent), 0)::bigint AS sent,
               COALESCE(sum(d.failed), 0)::bigint AS failed, COALESCE(sum(d.uncertain), 0)::bigint AS uncertain,
               COALESCE(sum(d.replied), 0)::bigint AS replied,
               count(*) FILTER (WHERE d.quota > 0 AND d.sent >= d.quota) AS complete,
               count(*) FILTER (WHERE d.quota > 0) AS owing, (SELECT count(*) FROM in_flight) AS in_flight
        FROM mailboxes m
        JOIN unnest($1::text[], $2::date[]) AS today (zone, day) ON today.zone = m.timezone
        LEFT JOIN mailbox_days d ON d.mailbox_id = m.id AND d.day = today.day
        WHERE m.state <> 'removed'";
    let todays = Todays::at(now);
    sqlx::query_as(FLEET).bind(todays.zones).bind(todays.days).bind(now).fetch_one(pool).await
}

/// Returns the owners of shards as the ledger knows them.
pub async fn shard_owners(pool: &PgPool) -> Result<Vec<ShardOwner>, sqlx::Error> {
    const OWNERS: &str =
        "SELECT worker_id AS worker, count(*) AS shards FROM shards GROUP BY worker_id ORDER BY worker_id NULLS LAST";
    sqlx::query_as(OWNERS).fetch_all(pool).await
}

/// Returns the last batches, the latest first.
pub async fn last_batches(pool: &PgPool, count: i64) -> Result<Vec<BatchLine>, sqlx::Error> {
    const BATCHES: &str = "
        SELECT id, worker_id, started_at, finished_at, processed, sent, failed, uncertain, released
        FROM batches ORDER BY id DESC LIMIT $1";
    sqlx::query_as(BATCHES).bind(count).fetch_all(pool).await
}

/// Returns each owner's and each domain's part of the pool, with the largest quota that one of its mailboxes owes.
pub async fn groups(pool: &PgPool) -> Result<Vec<Group>, sqlx::Error> {
    const GROUPS: &str = "
        WITH pool AS (
            SELECT m.domain, u.email AS owner, LEAST(m.daily_max, m.ramp_start + m.grown * m.ramp_step)::int AS quota
            FROM mailboxes m JOIN users u ON u.id = m.user_id
            WHERE m.enabled AND m.state IN ('active', 'paused')
        )
        SELECT 'user' AS kind, owner AS name, count(*) AS mailboxes, max(quota) AS quota,
               (SELECT count(*) FROM pool) AS pool
        FROM pool GROUP BY owner
        UNION ALL
        SELECT 'domain', domain, count(*), max(quota), (SELECT count(*) FROM pool) FROM pool GROUP BY domain
        ORDER BY 1, 2";
    sqlx::query_as(GROUPS).fetch_all(pool).await
}
