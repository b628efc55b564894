//! This module compares mailboxes with their quota today: many of them from the last snapshot, one at the present
//! moment.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, PgPool};

use crate::{
    adapters::postgres::enrol::schedule,
    domain::{
        id::UserId,
        progress::{PlannedShare, planned_window},
        time::{Window, today},
    },
};

/// A `QuotaRow` compares a mailbox with its quota.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct QuotaRow {
    pub id: i64,
    pub email: String,
    pub day: NaiveDate,
    pub quota: i32,
    pub sent: i32,
    /// The status: `complete`, `on-track`, `behind` or `failing`.
    pub status: String,
    pub opens: DateTime<Utc>,
    pub closes: DateTime<Utc>,
}

/// A `Page` is a page of a list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page {
    pub limit: i64,
    /// The id after which the page begins.
    pub after: Option<i64>,
}

impl Page {
    /// Returns the number of ids, which must be in order, and the ids of this page.
    pub fn cut(&self, ids: impl Iterator<Item = i64>) -> (i64, Vec<i64>) {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        ids.fold((0, Vec::new()), |(total, mut page), id| {
            if page.len() < limit && self.after.is_none_or(|after| id > after) {
                page.push(id);
            }
            (total + 1, page)
        })
    }

    /// Returns the ids of this page from all ids, which must be in order.
    pub fn of(&self, ids: &[i64]) -> Vec<i64> {
        let later = ids.iter().copied().filter(|id| self.after.is_none_or(|after| *id > after));
        later.take(usize::try_from(self.limit).unwrap_or_default()).collect()
    }
}

/// A `Kept` is a mailbox's row in the last snapshot, with the schedule that locates its day.
#[derive(FromRow)]
struct Kept {
    id: i64,
    email: String,
    day: NaiveDate,
    quota: i32,
    sent: i32,
    status: String,
    timezone: String,
    window_start: i16,
    window_end: i16,
}

/// Returns a page of the enabled mailboxes of `user`, or of all, with `status`, from the last snapshot.
pub async fn quotas(
    pool: &PgPool,
    user: Option<UserId>,
    status: Option<&str>,
    page: Page,
) -> Result<Vec<QuotaRow>, sqlx::Error> {
    const ROWS: &str = "
        SELECT s.mailbox_id AS id, m.email, s.day, s.quota, s.sent, s.status, m.timezone, m.window_start, m.window_end
        FROM (SELECT * FROM standings
              WHERE ($1::bigint IS NULL OR user_id = $1) AND ($2::text IS NULL OR status = $2)
                AND ($3::bigint IS NULL OR mailbox_id > $3)
              ORDER BY mailbox_id LIMIT $4) AS s
        JOIN mailboxes m ON m.id = s.mailbox_id ORDER BY s.mailbox_id";
    let rows = sqlx::query_as(ROWS).bind(user.map(|user| user.0)).bind(status).bind(page.after).bind(page.limit);
    told(rows.fetch_all(pool).await?)
}

/// Returns the mailboxes `ids` in their order, from the last snapshot.
pub async fn quotas_of(pool: &PgPool, ids: &[i64]) -> Result<Vec<QuotaRow>, sqlx::Error> {
    const ROWS: &str = "
        SELECT s.mailbox_id AS id, m.email, s.day, s.quota, s.sent, s.status, m.timezone, m.window_start, m.window_end
        FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (id, place)
        JOIN standings s ON s.mailbox_id = asked.id JOIN mailboxes m ON m.id = asked.id ORDER BY asked.place";
    told(sqlx::query_as(ROWS).bind(ids).fetch_all(pool).await?)
}

fn told(kept: Vec<Kept>) -> Result<Vec<QuotaRow>, sqlx::Error> {
    kept.into_iter().map(Kept::told).collect()
}

impl Kept {
    fn told(self) -> Result<QuotaRow, sqlx::Error> {
        let Kept { id, email, day, quota, sent, status, .. } = self;
        let unknown = |what: String| sqlx::Error::Decode(format!("mailbox {id} has {what}").into());
        let zone = self.timezone.parse().map_err(|_| unknown(format!("the unknown time zone {}", self.timezone)))?;
        let window = Window::new(self.window_start as u16, self.window_end as u16);
        let span = window.ok_or_else(|| unknown("an impossible window".to_owned()))?.on(zone, day);
        Ok(QuotaRow { id, email, day, quota, sent, status, opens: span.start, closes: span.end })
    }
}

/// A `One` holds the columns that determine the status of one mailbox, like those of `judged`.
#[derive(FromRow)]
struct One {
    email: String,
    timezone: String,
    window_start: i16,
    window_end: i16,
    days: i16,
    /// The quota by the ramp on a day that has not begun.
    ramp: i32,
    disabled: bool,
    enrolled_at: DateTime<Utc>,
}

/// Returns the mailbox `id` of `user`, or of any user, at `now`, even if it is switched off; `None` if it does not
/// exist.
pub async fn quota_of(
    pool: &PgPool,
    user: Option<UserId>,
    id: i64,
    now: DateTime<Utc>,
) -> Result<Option<QuotaRow>, sqlx::Error> {
    const ONE: &str = "
        SELECT email, timezone, window_start, window_end, days, state = 'disabled' AS disabled, enrolled_at,
               LEAST(daily_max, ramp_start + grown::int * ramp_step) AS ramp
        FROM mailboxes WHERE id = $1 AND state <> 'removed' AND ($2::bigint IS NULL OR user_id = $2)";
    const DAY: &str = "SELECT quota, sent, failed_in_row FROM mailbox_days WHERE mailbox_id = $1 AND day = $2";
    let one: Option<One> = sqlx::query_as(ONE).bind(id).bind(user.map(|user| user.0)).fetch_optional(pool).await?;
    let Some(one) = one else { return Ok(None) };
    let schedule = schedule(&one.timezone, one.window_start, one.window_end, one.days)?;
    let day = today(schedule.zone, now);
    let begun: Option<(i16, i16, i16)> = sqlx::query_as(DAY).bind(id).bind(day).fetch_optional(pool).await?;
    let not_begun = if schedule.days.contains(day) { one.ramp } else { 0 };
    let (quota, sent, failed_in_row) =
        begun.map_or((not_begun, 0, 0), |(quota, sent, failed)| (i32::from(quota), i32::from(sent), failed));
    let span = schedule.window.on(schedule.zone, day);
    let planned = planned_window(span, schedule.zone, day, one.enrolled_at);
    let status = match () {
        () if one.disabled || failed_in_row >= 3 => "failing",
        () if sent >= quota => "complete",
        () if is_behind(sent, quota, PlannedShare::at(now, planned)) => "behind",
        () => "on-track",
    };
    let (opens, closes, status) = (span.start, span.end, status.to_owned());
    Ok(Some(QuotaRow { id, email: one.email, day, quota, sent, status, opens, closes }))
}

fn is_behind(sent: i32, quota: i32, share: PlannedShare) -> bool {
    let (part, whole) = share.fraction();
    i64::from(sent) * whole < i64::from(quota) * part
}
