//! Mailboxes as they stand on their own today.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, PgPool};

use crate::{
    adapters::postgres::enrol::{endpoint, schedule},
    domain::{
        id::{MailboxId, ShardId},
        mailbox::Endpoint,
        ramp::Ramp,
        time::{Schedule, Todays},
    },
};

/// Which mailboxes are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// All but the removed ones.
    All,
    /// These, the removed ones too.
    Ids(&'a [i64]),
    Id(MailboxId),
    /// In any case.
    Email(&'a str),
}

/// Everything about a mailbox but its password.
#[derive(Clone, Debug)]
pub struct MailboxView {
    pub id: MailboxId,
    pub user: String,
    pub email: String,
    pub domain: String,
    pub display_name: String,
    pub username: String,
    /// Under which master key the password is sealed; none once it was removed.
    pub key_id: Option<Vec<u8>>,
    pub smtp: Endpoint,
    pub imap: Option<Endpoint>,
    pub schedule: Schedule,
    pub ramp: Ramp,
    pub grown: u16,
    pub reply_rate: u8,
    pub shard: ShardId,
    pub enabled: bool,
    pub state: String,
    pub reason: Option<String>,
    pub paused_until: Option<DateTime<Utc>>,
    pub receives: bool,
    pub receive_reason: Option<String>,
    pub receive_until: Option<DateTime<Utc>>,
    pub enrolled_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    /// Why, and until when, its mail host or its domain is left alone.
    pub host_pause: Option<(String, DateTime<Utc>)>,
    pub domain_pause: Option<(String, DateTime<Utc>)>,
    pub in_flight: bool,
    /// Its own date; its counters are all 0, and its quota what the ramp says, before the first reservation.
    pub today: Day,
}

/// A mailbox's day.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Day {
    pub day: NaiveDate,
    pub quota: i16,
    pub reserved: i16,
    pub sent: i16,
    pub failed: i16,
    pub uncertain: i16,
    pub replied: i16,
    pub attempts: i16,
    pub next_at: Option<DateTime<Utc>>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
}

/// Returns the mailboxes of `selection` as they stand at `now`, ordered by id.
pub async fn mailboxes(
    pool: &PgPool,
    selection: Selection<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<MailboxView>, sqlx::Error> {
    let (ids, email) = match selection {
        Selection::All => (None, None),
        Selection::Ids(ids) => (Some(ids.to_vec()), None),
        Selection::Id(id) => (Some(vec![id.0]), None),
        Selection::Email(email) => (None, Some(email)),
    };
    let todays = match &ids {
        // A few of them have a few zones.
        Some(ids) => {
            const ZONES: &str = "SELECT DISTINCT timezone FROM mailboxes WHERE id = ANY ($1)";
            let zones: Vec<String> = sqlx::query_scalar(ZONES).bind(ids).fetch_all(pool).await?;
            Todays::of(zones, now)
        }
        None => Todays::at(now),
    };
    let rows: Vec<Flat> = sqlx::query_as(MAILBOXES)
        .bind(now)
        .bind(todays.zones)
        .bind(todays.days)
        .bind(ids)
        .bind(email)
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(Flat::view).collect()
}

const MAILBOXES: &str = "
    SELECT m.id, u.email AS user_email, m.email, m.domain, m.display_name, m.username,
           substring(m.sealed_password FROM 2 FOR 8) AS key_id,
           m.smtp_host, m.smtp_port, m.smtp_security, m.imap_host, m.imap_port, m.imap_security, m.timezone,
           m.window_start, m.window_end, m.days, m.ramp_start, m.ramp_step, m.daily_max, m.grown, m.reply_rate, m.shard,
           m.enabled, m.state, m.reason AS state_reason, m.paused_until, m.receives, m.receive_reason, m.receive_until,
           m.enrolled_at, m.changed_at,
           host.reason AS host_reason, host.until AS host_until,
           domain.reason AS domain_reason, domain.until AS domain_until,
           EXISTS (SELECT FROM in_flight f WHERE f.mailbox_id = m.id) AS in_flight,
           today.day AS today, d.day IS NOT NULL AS begun,
           coalesce(d.quota, 0::smallint) AS quota, coalesce(d.reserved, 0::smallint) AS reserved, coalesce(d.sent, 0::smallint) AS sent,
           coalesce(d.failed, 0::smallint) AS failed, coalesce(d.uncertain, 0::smallint) AS uncertain, coalesce(d.replied, 0::smallint) AS replied,
           coalesce(d.attempts, 0::smallint) AS attempts, d.next_at, d.last_sent_at, d.reason AS day_reason
    FROM mailboxes m
    JOIN users u ON u.id = m.user_id
    JOIN unnest($2::text[], $3::date[]) AS today (zone, day) ON today.zone = m.timezone
    LEFT JOIN mailbox_days d ON d.mailbox_id = m.id AND d.day = today.day
    LEFT JOIN pauses host ON host.scope = 'host' AND host.key = lower(m.smtp_host) AND host.until > $1
    LEFT JOIN pauses domain ON domain.scope = 'domain' AND domain.key = m.domain AND domain.until > $1
    WHERE CASE WHEN $4::bigint[] IS NOT NULL THEN m.id = ANY ($4)
               WHEN $5::text IS NOT NULL THEN lower(m.email) = lower($5)
               ELSE m.state <> 'removed' END
    ORDER BY m.id";

#[derive(FromRow)]
struct Flat {
    id: i64,
    user_email: String,
    email: String,
    domain: String,
    display_name: String,
    username: String,
    key_id: Option<Vec<u8>>,
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
    grown: i16,
    reply_rate: i16,
    shard: i32,
    enabled: bool,
    state: String,
    state_reason: Option<String>,
    paused_until: Option<DateTime<Utc>>,
    receives: bool,
    receive_reason: Option<String>,
    receive_until: Option<DateTime<Utc>>,
    enrolled_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    host_reason: Option<String>,
    host_until: Option<DateTime<Utc>>,
    domain_reason: Option<String>,
    domain_until: Option<DateTime<Utc>>,
    in_flight: bool,
    today: NaiveDate,
    begun: bool,
    quota: i16,
    reserved: i16,
    sent: i16,
    failed: i16,
    uncertain: i16,
    replied: i16,
    attempts: i16,
    next_at: Option<DateTime<Utc>>,
    last_sent_at: Option<DateTime<Utc>>,
    day_reason: Option<String>,
}

impl Flat {
    fn view(self) -> Result<MailboxView, sqlx::Error> {
        let schedule = schedule(&self.timezone, self.window_start, self.window_end, self.days)?;
        let ramp =
            Ramp { start: self.ramp_start as u16, step: self.ramp_step as u16, daily_max: self.daily_max as u16 };
        let grown = self.grown as u16;
        let quota = match self.begun {
            true => self.quota,
            false if schedule.days.contains(self.today) => ramp.quota(grown) as i16,
            false => 0,
        };
        let imap = match (self.imap_host, self.imap_port, self.imap_security) {
            (Some(host), Some(port), Some(security)) => Some(endpoint(host, port, &security)?),
            _ => None,
        };
        Ok(MailboxView {
            id: MailboxId(self.id),
            user: self.user_email,
            email: self.email,
            domain: self.domain,
            display_name: self.display_name,
            username: self.username,
            key_id: self.key_id,
            smtp: endpoint(self.smtp_host, self.smtp_port, &self.smtp_security)?,
            imap,
            schedule,
            ramp,
            grown,
            reply_rate: self.reply_rate as u8,
            shard: ShardId(self.shard),
            enabled: self.enabled,
            state: self.state,
            reason: self.state_reason,
            paused_until: self.paused_until,
            receives: self.receives,
            receive_reason: self.receive_reason,
            receive_until: self.receive_until,
            enrolled_at: self.enrolled_at,
            changed_at: self.changed_at,
            host_pause: self.host_reason.zip(self.host_until),
            domain_pause: self.domain_reason.zip(self.domain_until),
            in_flight: self.in_flight,
            today: Day {
                day: self.today,
                quota,
                reserved: self.reserved,
                sent: self.sent,
                failed: self.failed,
                uncertain: self.uncertain,
                replied: self.replied,
                attempts: self.attempts,
                next_at: self.next_at,
                last_sent_at: self.last_sent_at,
                reason: self.day_reason,
            },
        })
    }
}

/// Returns the id of one mailbox, a removed one too; none where there is no such one.
pub async fn mailbox_id(pool: &PgPool, selection: Selection<'_>) -> Result<Option<MailboxId>, sqlx::Error> {
    let (id, email) = match selection {
        Selection::Id(id) => (Some(id.0), None),
        Selection::Email(email) => (None, Some(email)),
        Selection::All | Selection::Ids(_) => (None, None),
    };
    const FIND: &str = "SELECT id FROM mailboxes WHERE id = $1 OR lower(email) = lower($2)";
    let found: Option<i64> = sqlx::query_scalar(FIND).bind(id).bind(email).fetch_optional(pool).await?;
    Ok(found.map(MailboxId))
}

/// Returns the last `count` days of a mailbox that have a row, the latest first.
pub async fn last_days(pool: &PgPool, mailbox: MailboxId, count: i64) -> Result<Vec<Day>, sqlx::Error> {
    const DAYS: &str = "
        SELECT day, quota, reserved, sent, failed, uncertain, replied, attempts, next_at, last_sent_at, reason
        FROM mailbox_days WHERE mailbox_id = $1 ORDER BY day DESC LIMIT $2";
    sqlx::query_as(DAYS).bind(mailbox.0).bind(count).fetch_all(pool).await
}
