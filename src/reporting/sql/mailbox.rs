//! This module reads mailboxes with the counters of their own today.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::{
    adapters::postgres::enrol::{endpoint, schedule},
    domain::{
        id::{MailboxId, ShardId, UserId},
        mailbox::Endpoint,
        ramp::Ramp,
        time::{Schedule, today},
    },
};

/// A `Selection` chooses mailboxes.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// All mailboxes that are not removed.
    All,
    /// The mailboxes with these ids, including removed ones.
    Ids(&'a [i64]),
    Id(MailboxId),
    /// The mailbox with this address, in any case.
    Email(&'a str),
}

/// The last mail of a mailbox that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastRefusal {
    pub at: DateTime<Utc>,
    pub reason: String,
    /// The SMTP step, the code and the text of the mail host, at most 500 characters; only admins see it.
    pub text: Option<String>,
    /// Submissions that the mail host refused in a row, without a success in between.
    pub in_a_row: i16,
    /// Mails that failed in a row for any reason, refusals included.
    pub failures_in_a_row: i16,
}

/// A `MailboxView` holds everything about a mailbox except its password.
#[derive(Clone, Debug)]
pub struct MailboxView {
    pub id: MailboxId,
    pub user_id: UserId,
    pub user: String,
    pub email: String,
    pub domain: String,
    pub display_name: String,
    pub username: String,
    /// The id of the master key that sealed the password; `None` for a removed mailbox.
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
    /// The reason why the mailbox exchanges mails with other owners' mailboxes; `None` if it is unverified and uses
    /// only its owner's.
    pub verified_by: Option<String>,
    pub enrolled_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub last_refusal: Option<LastRefusal>,
    /// The reason and the end of the pause of its mail host.
    pub host_pause: Option<(String, DateTime<Utc>)>,
    /// True if its mail host's breaker is open, so that `host_pause` has no end: one mailbox at a time probes it.
    pub is_host_probing: bool,
    /// True if that breaker disabled the mailbox: it returns once the host lets a mailbox in.
    pub returns_with_host: bool,
    pub domain_pause: Option<(String, DateTime<Utc>)>,
    /// The time since which its mail host does not answer some worker in time.
    pub host_slow_since: Option<DateTime<Utc>>,
    /// The daily limit of its owner, if any, and the part that is reserved on the mailbox's date.
    pub owner_limit: Option<(i32, i32)>,
    pub in_flight: bool,
    /// The mailbox's own date. Before the first reservation its counters are 0, and its quota follows the ramp.
    pub today: Day,
}

/// A `Day` holds a mailbox's counters of one day.
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
    /// True for a closed day; read only for today.
    #[sqlx(default)]
    pub closed: bool,
}

/// The number of mailboxes whose days are read in one statement.
const DAYS_AT_ONCE: usize = 2_000;

/// Returns the mailboxes of `selection` at `now`, ordered by id, except those of a zone that this release does not
/// know. The tables are read by key, one after the other: planning a join of all would take longer than that.
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
    let rows: Vec<Flat> = sqlx::query_as(MAILBOXES).bind(ids).bind(email).fetch_all(pool).await?;
    let (pauses, slow) = (Pauses::at(pool, now).await?, slow_hosts(pool, now).await?);
    let views = rows.into_iter().filter_map(|row| row.view(&pauses, &slow, now).transpose());
    let mut views = views.collect::<Result<Vec<_>, _>>()?;
    for some in views.chunks_mut(DAYS_AT_ONCE) {
        begin(pool, some).await?;
    }
    count_against_limits(pool, &mut views).await?;
    Ok(views)
}

/// The query of mailboxes. The planner removes the conditions of parameters that are NULL.
const MAILBOXES: &str = "
    SELECT m.id, m.user_id, (SELECT u.email FROM users u WHERE u.id = m.user_id) AS user_email,
           (SELECT u.daily_limit FROM users u WHERE u.id = m.user_id) AS owner_limit, m.email, m.domain, m.display_name,
           m.username, substring(m.sealed_password FROM 2 FOR 8) AS key_id,
           m.smtp_host, m.smtp_port, m.smtp_security, m.imap_host, m.imap_port, m.imap_security, m.timezone,
           m.window_start, m.window_end, m.days, m.ramp_start, m.ramp_step, m.daily_max, m.grown, m.reply_rate, m.shard,
           m.enabled, m.state, m.reason, m.paused_until, m.receives, m.receive_reason, m.receive_until, m.verified_by, m.enrolled_at,
           m.changed_at, m.refusals, m.failures, m.refused_at, m.refused_reason, m.refused_words,
           EXISTS (SELECT FROM in_flight f WHERE f.mailbox_id = m.id) AS in_flight
    FROM mailboxes m
    WHERE CASE WHEN $1::bigint[] IS NOT NULL THEN m.id = ANY ($1)
               WHEN $2::text IS NOT NULL THEN lower(m.email) = lower($2)
               ELSE m.state <> 'removed' END
    ORDER BY m.id";

/// `Pauses` holds the hosts that are paused for all owners, by name, and the logins whose breaker is open, by
/// `login_key`. It also holds the hosts (name:port) and domains that are paused for one owner.
struct Pauses {
    hosts: HashMap<String, PlacePause>,
    of_owners: HashMap<(i64, String, String), ReasonAndEnd>,
}

type ReasonAndEnd = (String, DateTime<Utc>);

#[derive(FromRow)]
struct PlacePause {
    key: String,
    reason: String,
    until: DateTime<Utc>,
    probing: bool,
    refused: Vec<String>,
}

impl Pauses {
    async fn at(pool: &PgPool, now: DateTime<Utc>) -> Result<Pauses, sqlx::Error> {
        const PAUSES: &str = "
            SELECT key, reason, until, probing, ARRAY(SELECT jsonb_object_keys(refused)) AS refused
            FROM pauses WHERE scope IN ('host', 'login') AND (until > $1 OR probing)";
        const OF_OWNERS: &str = "SELECT user_id, scope, key, reason, until FROM owner_pauses WHERE until > $1";
        let rows: Vec<PlacePause> = sqlx::query_as(PAUSES).bind(now).fetch_all(pool).await?;
        let of_owners: Vec<(i64, String, String, String, DateTime<Utc>)> =
            sqlx::query_as(OF_OWNERS).bind(now).fetch_all(pool).await?;
        let keyed = |(user, scope, key, reason, until)| ((user, scope, key), (reason, until));
        Ok(Pauses {
            hosts: rows.into_iter().map(|place| (place.key.clone(), place)).collect(),
            of_owners: of_owners.into_iter().map(keyed).collect(),
        })
    }

    fn of_owner(&self, user: i64, scope: &str, key: String) -> Option<ReasonAndEnd> {
        self.of_owners.get(&(user, scope.to_owned(), key)).cloned()
    }
}

/// Returns the mail hosts that do not answer some worker in time, each with the beginning of the problem.
async fn slow_hosts(pool: &PgPool, now: DateTime<Utc>) -> Result<HashMap<String, DateTime<Utc>>, sqlx::Error> {
    Ok(super::slow_hosts(pool, now).await?.into_iter().collect())
}

/// Reads the reserved part of the owners' daily limits, for owners with a limit.
async fn count_against_limits(pool: &PgPool, mailboxes: &mut [MailboxView]) -> Result<(), sqlx::Error> {
    const RESERVED: &str = "SELECT user_id, day, reserved FROM user_days WHERE user_id = ANY ($1) AND day = ANY ($2)";
    let limited = mailboxes.iter().filter(|mailbox| mailbox.owner_limit.is_some());
    let (users, days): (HashSet<i64>, HashSet<NaiveDate>) =
        limited.map(|mailbox| (mailbox.user_id.0, mailbox.today.day)).unzip();
    if users.is_empty() {
        return Ok(());
    }
    let (users, days): (Vec<i64>, Vec<NaiveDate>) = (users.into_iter().collect(), days.into_iter().collect());
    let rows: Vec<(i64, NaiveDate, i32)> = sqlx::query_as(RESERVED).bind(users).bind(days).fetch_all(pool).await?;
    let reserved: HashMap<(i64, NaiveDate), i32> =
        rows.into_iter().map(|(user, day, reserved)| ((user, day), reserved)).collect();
    for mailbox in mailboxes {
        let counted = reserved.get(&(mailbox.user_id.0, mailbox.today.day)).copied().unwrap_or_default();
        mailbox.owner_limit = mailbox.owner_limit.map(|(limit, _)| (limit, counted));
    }
    Ok(())
}

/// A `Begun` is a day that has a row.
#[derive(FromRow)]
struct Begun {
    mailbox_id: i64,
    #[sqlx(flatten)]
    day: Day,
}

/// Reads the days of `mailboxes`, which are ordered by id, as far as the days have begun.
async fn begin(pool: &PgPool, mailboxes: &mut [MailboxView]) -> Result<(), sqlx::Error> {
    const DAYS: &str = "
        SELECT d.mailbox_id, d.day, d.quota, d.reserved, d.sent, d.failed, d.uncertain, d.replied, d.attempts, d.next_at,
               d.last_sent_at, d.reason, d.closed
        FROM unnest($1::bigint[], $2::date[]) AS asked (id, day)
        JOIN mailbox_days d ON d.mailbox_id = asked.id AND d.day = asked.day";
    let (ids, days): (Vec<_>, Vec<_>) = mailboxes.iter().map(|mailbox| (mailbox.id.0, mailbox.today.day)).unzip();
    let begun: Vec<Begun> = sqlx::query_as(DAYS).bind(ids).bind(days).fetch_all(pool).await?;
    for Begun { mailbox_id, day } in begun {
        if let Ok(place) = mailboxes.binary_search_by_key(&mailbox_id, |mailbox| mailbox.id.0) {
            mailboxes[place].today = day;
        }
    }
    Ok(())
}

#[derive(FromRow)]
struct Flat {
    id: i64,
    user_id: i64,
    user_email: String,
    owner_limit: Option<i32>,
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
    reason: Option<String>,
    paused_until: Option<DateTime<Utc>>,
    receives: bool,
    receive_reason: Option<String>,
    receive_until: Option<DateTime<Utc>>,
    verified_by: Option<String>,
    enrolled_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    refusals: i16,
    failures: i16,
    refused_at: Option<DateTime<Utc>>,
    refused_reason: Option<String>,
    refused_words: Option<String>,
    in_flight: bool,
}

impl Flat {
    /// Returns the view of the row; `None` if its time zone is unknown.
    fn view(
        self,
        pauses: &Pauses,
        slow: &HashMap<String, DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Option<MailboxView>, sqlx::Error> {
        if self.timezone.parse::<Tz>().is_err() {
            return Ok(None);
        }
        let schedule = schedule(&self.timezone, self.window_start, self.window_end, self.days)?;
        let ramp =
            Ramp { start: self.ramp_start as u16, step: self.ramp_step as u16, daily_max: self.daily_max as u16 };
        let grown = self.grown as u16;
        let day = today(schedule.zone, now);
        let quota = if schedule.days.contains(day) { ramp.quota(grown) as i16 } else { 0 };
        let imap = match (self.imap_host, self.imap_port, self.imap_security) {
            (Some(host), Some(port), Some(security)) => Some(endpoint(host, port, &security)?),
            _ => None,
        };
        let reason_and_end = |place: &PlacePause| (place.reason.clone(), place.until);
        let host_name = self.smtp_host.to_lowercase();
        let login = format!("{}/{host_name}:{}/{}", self.user_id, self.smtp_port, self.smtp_security);
        let (host, login) = (pauses.hosts.get(&host_name), pauses.hosts.get(&login));
        let breakers = || host.into_iter().chain(login).filter(|place| place.probing);
        let is_host_probing = breakers().next().is_some();
        let returns_with_host =
            self.state == "disabled" && breakers().any(|place| place.refused.contains(&self.id.to_string()));
        let of_owner = || pauses.of_owner(self.user_id, "host", format!("{host_name}:{}", self.smtp_port));
        let host_pause = host.or(login).map(reason_and_end).or_else(of_owner);
        let domain_pause = pauses.of_owner(self.user_id, "domain", self.domain.clone());
        let host_slow_since = slow.get(&host_name).copied();
        let last_refusal = self.refused_at.zip(self.refused_reason).map(|(at, reason)| {
            let (text, in_a_row, failures_in_a_row) = (self.refused_words, self.refusals, self.failures);
            LastRefusal { at, reason, text, in_a_row, failures_in_a_row }
        });
        Ok(Some(MailboxView {
            id: MailboxId(self.id),
            user_id: UserId(self.user_id),
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
            reason: self.reason,
            paused_until: self.paused_until,
            receives: self.receives,
            receive_reason: self.receive_reason,
            receive_until: self.receive_until,
            verified_by: self.verified_by,
            enrolled_at: self.enrolled_at,
            changed_at: self.changed_at,
            last_refusal,
            host_pause,
            is_host_probing,
            returns_with_host,
            domain_pause,
            host_slow_since,
            owner_limit: self.owner_limit.map(|limit| (limit, 0)),
            in_flight: self.in_flight,
            today: Day { day, quota, ..Day::default() },
        }))
    }
}

/// Returns the id of one mailbox, also of a removed one; `None` if it does not exist.
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
