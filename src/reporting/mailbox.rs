//! This module describes mailboxes: the state as text, today's counters, and the time of the next mail.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::mailbox_state::{MailboxState, facts};
use crate::{
    adapters::{
        postgres::mailbox_state::{self, Filter},
        seal::KeyId,
    },
    domain::{
        address_index::{AddressQuery, QuotaFilter},
        id::{MailboxId, UserId},
        next_send::{NextSend, outlook},
        progress::{PlannedShare, planned_window},
        time::Window,
    },
    reporting::{
        snapshot::SnapshotCache,
        sql::{self, Asked, Attendance, Day, Event, LastRefusal, MailboxFilter, MailboxView, Page, Selection, Totals},
    },
};

/// The number of past days that `mailbox show` shows.
const DAYS_SHOWN: i64 = 7;
/// The number of last events that `mailbox show` shows.
const EVENTS_SHOWN: i64 = 10;

/// The text for a mailbox without a possible partner; the number of other mailboxes follows it.
pub(super) const ALONE: &str = "no partner can receive";

/// The text before a mail host's reply in the detail of an event.
const LAST_RESULT: &str = "last result: ";

/// A mailbox in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailboxStatus {
    pub id: i64,
    pub email: String,
    pub user: String,
    pub smtp_host: String,
    /// `active`, `off`, `paused`, `disabled` or `removed`.
    pub state: String,
    pub reason: Option<String>,
    pub until: Option<DateTime<Utc>>,
    pub day: NaiveDate,
    pub quota: i16,
    pub sent: i16,
    /// Of the quota, neither sent nor uncertain nor in flight.
    pub left: i16,
}

/// A mailbox's counters of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DayStatus {
    pub day: NaiveDate,
    pub quota: i16,
    pub reserved: i16,
    pub sent: i16,
    pub failed: i16,
    pub uncertain: i16,
    pub replied: i16,
    pub reason: Option<String>,
}

/// Everything about a mailbox but its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailboxDetail {
    #[serde(flatten)]
    pub status: MailboxStatus,
    pub display_name: String,
    pub username: String,
    /// The id of the master key under which the password is sealed.
    pub sealed_under: Option<String>,
    pub smtp: String,
    pub imap: Option<String>,
    pub timezone: String,
    pub window: String,
    pub days: String,
    pub ramp_start: u16,
    pub ramp_step: u16,
    pub daily_max: u16,
    pub days_grown: u16,
    pub reply_rate: u8,
    pub shard: i32,
    pub enabled: bool,
    pub receives: bool,
    pub receive_reason: Option<String>,
    /// The time from which it receives again; absent if it receives now, or only after a resume.
    pub receives_from: Option<DateTime<Utc>>,
    /// The reason why it exchanges mails with other owners' mailboxes: `admin`, `domain`, `code` or `earlier-release`.
    /// Absent if it is not verified and exchanges mails only with its owner's mailboxes.
    pub verified_by: Option<String>,
    pub enrolled_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub last_refusal: Option<LastRefusal>,
    pub in_flight: bool,
    pub sends_next_at: Option<DateTime<Utc>>,
    /// The reason for this time, or for its absence.
    pub because: String,
    /// The action that makes it send; absent if it sends by itself.
    pub advice: Option<String>,
    /// Mails that the plan requires by now; the whole quota of its day once its window is nearly over.
    pub planned_by_now: u16,
    /// The part of these that is neither sent nor uncertain nor in flight.
    pub owed_now: u16,
    /// Replies that it owes; `repliesNextAt` is the time of the first one.
    pub replies_owed: i64,
    pub replies_next_at: Option<DateTime<Utc>>,
    pub last_days: Vec<DayStatus>,
    /// The newest last.
    pub last_events: Vec<Event>,
}

/// Returns all mailboxes but the removed ones, ordered by id.
pub async fn mailbox_statuses(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<MailboxStatus>, sqlx::Error> {
    let mailboxes = sql::mailboxes(pool, Selection::All, now).await?;
    Ok(mailboxes.iter().map(|mailbox| MailboxStatus::of(mailbox, now)).collect())
}

/// Returns the mailboxes that match `filter`, ordered by id.
pub async fn mailbox_statuses_of(
    pool: &PgPool,
    filter: &Filter,
    now: DateTime<Utc>,
) -> Result<Vec<MailboxStatus>, sqlx::Error> {
    let found = mailbox_state::find(&mut *pool.acquire().await?, filter).await?;
    let ids: Vec<i64> = found.iter().map(|found| found.id).collect();
    let mailboxes = sql::mailboxes(pool, Selection::Ids(&ids), now).await?;
    Ok(mailboxes.iter().map(|mailbox| MailboxStatus::of(mailbox, now)).collect())
}

/// Returns the number of mailboxes that match `filter`, and a page of them, ordered by id.
pub async fn mailbox_page(
    pool: &PgPool,
    census: &SnapshotCache,
    filter: &MailboxFilter,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(i64, Vec<MailboxStatus>), sqlx::Error> {
    let (total, ids) = page_ids(pool, census, filter, page, now).await?;
    let mailboxes = sql::mailboxes(pool, Selection::Ids(&ids), now).await?;
    Ok((total, mailboxes.iter().map(|mailbox| MailboxStatus::of(mailbox, now)).collect()))
}

async fn page_ids(
    pool: &PgPool,
    census: &SnapshotCache,
    filter: &MailboxFilter,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(i64, Vec<i64>), sqlx::Error> {
    let lately = census.current(filter.owner, now).await?;
    if let Some(wanted) = wanted(filter)
        && let Some(directory) = census.directory(&lately)
    {
        return Ok(page.cut(directory.find(wanted)));
    }
    if filter.search.is_some() {
        return sql::found_mailboxes(pool, filter, page, now).await;
    }
    let total = match counted(&lately.totals, filter) {
        Some(total) => total,
        None => sql::count_mailboxes(pool, filter, now).await?,
    };
    Ok((total, sql::mailbox_ids(pool, filter, page, now).await?))
}

/// Returns the search among all addresses; `None` if the filter needs Postgres, or is empty.
fn wanted(filter: &MailboxFilter) -> Option<AddressQuery<'_>> {
    let MailboxFilter { owner, user, host, domain, state, search } = filter;
    let is_theirs = owner.is_some() || user.is_some() || state.is_some();
    let asks = host.is_some() || domain.is_some() || search.is_some();
    (asks && !is_theirs).then(|| AddressQuery {
        part: search.as_deref().unwrap_or_default(),
        host: host.as_deref(),
        domain: domain.as_deref(),
        among: QuotaFilter::All,
    })
}

/// Returns the number of mailboxes, if the snapshot has counted exactly what the filter selects.
fn counted(totals: &Totals, filter: &MailboxFilter) -> Option<i64> {
    let MailboxFilter { user, host, domain, search, .. } = filter;
    if [user, host, domain, search].into_iter().any(Option::is_some) {
        return None;
    }
    match filter.state.as_deref() {
        None => Some(totals.enrolled),
        Some("active") => Some(totals.may_send),
        Some("off") => Some(totals.off),
        Some("paused") => Some(totals.paused),
        Some("disabled") => Some(totals.disabled),
        Some(_) => None,
    }
}

/// Returns the id of the mailbox with this address, in any case.
pub async fn mailbox_id(pool: &PgPool, email: &str) -> Result<Option<i64>, sqlx::Error> {
    Ok(sql::mailbox_id(pool, Selection::Email(email.trim())).await?.map(|id| id.0))
}

/// Returns everything about the mailbox `id` of `owner`, or of any user; `None` if it does not exist. An owner sees
/// neither the number of other mailboxes nor the text of a mail host, which may name others.
pub async fn mailbox_detail_of(
    pool: &PgPool,
    owner: Option<UserId>,
    id: i64,
    (active, daily_cap): (Window, f64),
    now: DateTime<Utc>,
) -> Result<Option<MailboxDetail>, sqlx::Error> {
    if !sql::owns(pool, owner, id).await? {
        return Ok(None);
    }
    let Some(mut detail) = mailbox_detail(pool, Selection::Id(MailboxId(id)), (active, daily_cap), now).await? else {
        return Ok(None);
    };
    if owner.is_some() {
        if let Some(alone) = detail.because.split_once(ALONE).map(|_| ALONE.to_owned()) {
            detail.because = alone;
        }
        detail.last_events.iter_mut().for_each(hide_words);
        detail.last_refusal.iter_mut().for_each(|refusal| refusal.text = None);
    }
    Ok(Some(detail))
}

/// Removes a mail host's reply text from an event.
fn hide_words(event: &mut Event) {
    let words = if event.kind == "mail-alert" { Some(0) } else { event.detail.find(LAST_RESULT) };
    if let Some(place) = words {
        event.detail.truncate(place);
        event.detail.truncate(event.detail.trim_end_matches("; ").len());
    }
}

/// Returns everything about one mailbox; `None` if it does not exist. Two settings matter: the active hours, and the
/// factor by which a user's own daily limit may be exceeded.
pub async fn mailbox_detail(
    pool: &PgPool,
    selection: Selection<'_>,
    (active, daily_cap): (Window, f64),
    now: DateTime<Utc>,
) -> Result<Option<MailboxDetail>, sqlx::Error> {
    let Some(mailbox) = sql::mailboxes(pool, selection, now).await?.pop() else { return Ok(None) };
    let days = sql::last_days(pool, mailbox.id, DAYS_SHOWN).await?;
    let stopped = sql::stop_reason(pool).await?;
    let partners = sql::partners(pool, mailbox.id, now).await?;
    let mut facts = facts(&mailbox, stopped, partners, daily_cap, now);
    if facts.block.is_none() && sql::is_read_only(pool).await? {
        facts.block = Some("the database is read-only".to_owned());
    }
    if facts.block.is_none() {
        facts.block = without_owner(&sql::attendance(pool, mailbox.shard).await?).map(str::to_owned);
    }
    let asked = Asked { mailbox: Some(mailbox.id.0), limit: EVENTS_SHOWN, ..Asked::default() };
    let last_events = sql::events(pool, &asked).await?;
    let detail = MailboxDetail::of(&mailbox, &days, outlook(&facts, now, active), now);
    let owed = sql::owed_replies(pool, mailbox.id).await?;
    let (replies_owed, replies_next_at) = (owed.replies, owed.first_due_at);
    Ok(Some(MailboxDetail { last_events, replies_owed, replies_next_at, ..detail }))
}

/// Returns the reason why no worker sends for a mailbox; `None` if one does.
fn without_owner(attendance: &Attendance) -> Option<&'static str> {
    match (attendance.working, attendance.owner_state.as_deref()) {
        (0, _) => Some("no worker runs"),
        (_, None) => {
            Some("no worker has its shard: one takes it within a minute, or `warmup status` says why none does")
        }
        (_, Some("clock-off")) => {
            Some("the clock of the worker that has its shard is wrong: nothing is sent until it is set right")
        }
        (_, Some("benched")) => Some("the ticks of the worker that has its shard fail: it tries again by itself"),
        _ => None,
    }
}

impl MailboxStatus {
    pub(super) fn of(mailbox: &MailboxView, now: DateTime<Utc>) -> MailboxStatus {
        let MailboxState { state, reason, until, .. } = MailboxState::of(mailbox, now);
        let today = &mailbox.today;
        MailboxStatus {
            id: mailbox.id.0,
            email: mailbox.email.clone(),
            user: mailbox.user.clone(),
            smtp_host: mailbox.smtp.host.clone(),
            state: state.to_owned(),
            reason,
            until,
            day: today.day,
            quota: today.quota,
            sent: today.sent,
            left: (today.quota - today.reserved).max(0),
        }
    }
}

impl MailboxDetail {
    fn of(mailbox: &MailboxView, days: &[Day], outlook: NextSend, now: DateTime<Utc>) -> MailboxDetail {
        let (sends_next_at, because) = match outlook {
            NextSend::Sends { at, because } => (Some(at), because),
            NextSend::Blocked { because } => (None, because),
        };
        let status = MailboxStatus::of(mailbox, now);
        let standing = MailboxState::of(mailbox, now);
        let (zone, day) = (mailbox.schedule.zone, mailbox.today.day);
        let window = planned_window(mailbox.schedule.window.on(zone, day), zone, day, mailbox.enrolled_at);
        let planned_by_now = PlannedShare::at(now, window).of(mailbox.today.quota as u16);
        let sealed_under = mailbox.key_id.as_deref().and_then(KeyId::from_bytes);
        MailboxDetail {
            advice: standing.advice(mailbox),
            planned_by_now,
            owed_now: planned_by_now.saturating_sub(mailbox.today.reserved as u16),
            last_events: Vec::new(),
            replies_owed: 0,
            replies_next_at: None,
            status,
            display_name: mailbox.display_name.clone(),
            username: mailbox.username.clone(),
            sealed_under: sealed_under.map(|key_id| key_id.to_string()),
            smtp: mailbox.smtp.to_string(),
            imap: mailbox.imap.as_ref().map(ToString::to_string),
            timezone: mailbox.schedule.zone.name().to_owned(),
            window: mailbox.schedule.window.to_string(),
            days: mailbox.schedule.days.to_string(),
            ramp_start: mailbox.ramp.start,
            ramp_step: mailbox.ramp.step,
            daily_max: mailbox.ramp.daily_max,
            days_grown: mailbox.grown,
            reply_rate: mailbox.reply_rate,
            shard: mailbox.shard.0,
            enabled: mailbox.enabled,
            receives: mailbox.receives || mailbox.receive_until.is_some_and(|until| until <= now),
            receive_reason: mailbox.receive_reason.clone(),
            receives_from: mailbox.receive_until.filter(|until| !mailbox.receives && *until > now),
            verified_by: mailbox.verified_by.clone(),
            enrolled_at: mailbox.enrolled_at,
            changed_at: mailbox.changed_at,
            last_sent_at: mailbox.today.last_sent_at.or_else(|| days.iter().find_map(|day| day.last_sent_at)),
            last_refusal: mailbox.last_refusal.clone(),
            in_flight: mailbox.in_flight,
            sends_next_at,
            because,
            last_days: days.iter().map(DayStatus::of).collect(),
        }
    }
}

impl DayStatus {
    fn of(day: &Day) -> DayStatus {
        DayStatus {
            day: day.day,
            quota: day.quota,
            reserved: day.reserved,
            sent: day.sent,
            failed: day.failed,
            uncertain: day.uncertain,
            replied: day.replied,
            reason: day.reason.clone(),
        }
    }
}
