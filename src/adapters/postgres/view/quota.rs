//! Mailboxes against their quota today: many of them as they were counted last, one as it stands now.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{Arguments, Encode, FromRow, PgPool, Postgres, Type, postgres::PgArguments};

use super::clocks::{Clocks, judged};
use crate::domain::{id::UserId, time::Window};

/// A mailbox against its quota.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct QuotaRow {
    pub id: i64,
    pub email: String,
    pub day: NaiveDate,
    pub quota: i32,
    pub sent: i32,
    /// `complete`, `on-track`, `behind` or `failing`.
    pub status: String,
    pub opens: DateTime<Utc>,
    pub closes: DateTime<Utc>,
}

/// A page of a list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page {
    pub limit: i64,
    /// Only what has a greater id.
    pub after: Option<i64>,
}

/// What the last census kept of a mailbox, with what says when its day is.
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

/// Returns a page of the mailboxes of `user`, or of all, that are switched on and have `status`, as they were counted last.
pub async fn quotas(
    pool: &PgPool,
    user: Option<UserId>,
    status: Option<&str>,
    page: Page,
) -> Result<Vec<QuotaRow>, sqlx::Error> {
    const ROWS: &str = "
        SELECT s.mailbox_id AS id, m.email, s.day, s.quota, s.sent, s.status, m.timezone, m.window_start, m.window_end
        FROM standings s JOIN mailboxes m ON m.id = s.mailbox_id
        WHERE ($1::bigint IS NULL OR s.user_id = $1) AND ($2::text IS NULL OR s.status = $2)
          AND ($3::bigint IS NULL OR s.mailbox_id > $3)
        ORDER BY s.mailbox_id LIMIT $4";
    let rows = sqlx::query_as(ROWS).bind(user.map(|user| user.0)).bind(status).bind(page.after).bind(page.limit);
    told(rows.fetch_all(pool).await?)
}

/// Returns the mailboxes `ids` in their order, as they were counted last.
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

/// Returns the mailbox `id` of `user`, or of anybody, as it stands at `now`, also one that is switched off; none where
/// there is no such one.
pub async fn quota_of(
    pool: &PgPool,
    user: Option<UserId>,
    id: i64,
    now: DateTime<Utc>,
) -> Result<Option<QuotaRow>, sqlx::Error> {
    const ONE: &str =
        concat!(judged!(), "SELECT id, email, day, quota, sent, status, opens, closes FROM judged WHERE id = $10");
    let mut arguments = arguments(Clocks::of_mailbox(pool, id, now).await?, user)?;
    add(&mut arguments, id)?;
    sqlx::query_as_with(ONE, arguments).fetch_optional(pool).await
}

/// The parameters of `judged`.
pub(super) fn arguments(clocks: Clocks, user: Option<UserId>) -> Result<PgArguments, sqlx::Error> {
    let mut all = PgArguments::default();
    add(&mut all, clocks.zones)?;
    add(&mut all, clocks.starts)?;
    add(&mut all, clocks.ends)?;
    add(&mut all, clocks.days)?;
    add(&mut all, clocks.parts)?;
    add(&mut all, clocks.wholes)?;
    add(&mut all, clocks.opens)?;
    add(&mut all, clocks.closes)?;
    add(&mut all, user.map(|user| user.0))?;
    Ok(all)
}

/// One parameter more.
pub(super) fn add<'q, T>(arguments: &mut PgArguments, value: T) -> Result<(), sqlx::Error>
where
    T: Encode<'q, Postgres> + Type<Postgres> + 'q,
{
    arguments.add(value).map_err(sqlx::Error::Encode)
}
