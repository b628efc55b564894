//! Where mailboxes stand against their quota today: sums, lists, and the best.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use sqlx::{FromRow, PgPool, postgres::PgArguments, query::QueryAs};

use super::clocks::{Clocks, judged};
use crate::domain::id::UserId;

/// Each mailbox's own today, summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Totals {
    /// Those that are enabled.
    pub mailboxes: i64,
    /// Those that sent today.
    pub active: i64,
    pub sent: i64,
    pub replied: i64,
    pub failed: i64,
    pub uncertain: i64,
    /// Enabled ones that owe something today, and those of them that sent it all.
    pub owing: i64,
    pub filled: i64,
    /// Whole mails that the plan wants to have gone by now, of those that take part.
    pub planned: i64,
    /// Today's quotas of those that take part.
    pub owed: i64,
    pub complete: i64,
    pub on_track: i64,
    pub behind: i64,
    pub failing: i64,
    /// Mails sent in this hour so far, and in the one before.
    pub hour_sent: i64,
    pub hour_before: i64,
    /// Mailboxes whose last mail went within the last minute.
    pub minute_sent: i64,
}

/// A mailbox against its quota.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, FromRow)]
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

/// A day at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Glance {
    #[sqlx(flatten)]
    pub totals: Totals,
    /// The furthest behind their plan.
    #[sqlx(json)]
    pub furthest: Vec<QuotaRow>,
    /// The fullest of those that sent.
    #[sqlx(json)]
    pub best: Vec<QuotaRow>,
}

/// The sums, where `$10` is now.
macro_rules! sums {
    () => {
        "count(*) FILTER (WHERE enabled) AS mailboxes,
                count(*) FILTER (WHERE sent > 0) AS active,
                coalesce(sum(sent), 0)::bigint AS sent, coalesce(sum(replied), 0)::bigint AS replied,
                coalesce(sum(failed), 0)::bigint AS failed, coalesce(sum(uncertain), 0)::bigint AS uncertain,
                count(*) FILTER (WHERE enabled AND quota > 0) AS owing,
                count(*) FILTER (WHERE enabled AND quota > 0 AND sent >= quota) AS filled,
                coalesce(floor(sum(quota::numeric * part / whole) FILTER (
                    WHERE enabled AND (state = 'active' OR state = 'paused' AND paused_until IS NOT NULL))), 0)::bigint
                    AS planned,
                coalesce(sum(quota) FILTER (
                    WHERE enabled AND (state = 'active' OR state = 'paused' AND paused_until IS NOT NULL)), 0)::bigint
                    AS owed,
                count(*) FILTER (WHERE enabled AND status = 'complete') AS complete,
                count(*) FILTER (WHERE enabled AND status = 'on-track') AS on_track,
                count(*) FILTER (WHERE enabled AND status = 'behind') AS behind,
                count(*) FILTER (WHERE enabled AND status = 'failing') AS failing,
                coalesce(sum(CASE WHEN hour = date_trunc('hour', $10, 'UTC') THEN hour_sent END), 0)::bigint AS hour_sent,
                coalesce(sum(CASE WHEN hour = date_trunc('hour', $10, 'UTC') THEN hour_before
                                  WHEN hour = date_trunc('hour', $10, 'UTC') - interval '1 hour' THEN hour_sent END), 0)::bigint
                    AS hour_before,
                count(*) FILTER (WHERE last_sent_at > $10 - interval '1 minute') AS minute_sent"
    };
}

/// Sums the todays of the mailboxes of `user`, or of all.
pub async fn totals(pool: &PgPool, user: Option<UserId>, now: DateTime<Utc>) -> Result<Totals, sqlx::Error> {
    const TOTALS: &str = concat!(judged!(), "SELECT ", sums!(), " FROM judged");
    let clocks = Clocks::at(pool, now).await?;
    bound(sqlx::query_as(TOTALS), clocks, user).bind(now).fetch_one(pool).await
}

/// Sums them, with the `count` that are furthest behind their plan, and the best `count`: all from one look at each.
pub async fn glance(
    pool: &PgPool,
    user: Option<UserId>,
    count: i64,
    now: DateTime<Utc>,
) -> Result<Glance, sqlx::Error> {
    const GLANCE: &str = concat!(
        judged!(),
        "SELECT ",
        sums!(),
        ",
                (SELECT coalesce(jsonb_agg(to_jsonb(one)), '[]') FROM (
                    SELECT id, email, day, quota, sent, status, opens, closes FROM judged
                    WHERE enabled AND status = 'behind'
                    ORDER BY quota::numeric * part / whole - sent DESC, id LIMIT $11) AS one) AS furthest,
                (SELECT coalesce(jsonb_agg(to_jsonb(one)), '[]') FROM (
                    SELECT id, email, day, quota, sent, status, opens, closes FROM judged
                    WHERE enabled AND sent > 0
                    ORDER BY sent::numeric / GREATEST(quota, 1) DESC, sent DESC, id LIMIT $11) AS one) AS best
         FROM judged"
    );
    let clocks = Clocks::at(pool, now).await?;
    bound(sqlx::query_as(GLANCE), clocks, user).bind(now).bind(count).fetch_one(pool).await
}

/// Returns how many mailboxes of `user`, or of all, have `status`, and a page of them.
pub async fn quotas(
    pool: &PgPool,
    user: Option<UserId>,
    status: Option<&str>,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(i64, Vec<QuotaRow>), sqlx::Error> {
    const COUNT: &str =
        concat!(judged!(), "SELECT count(*) FROM judged WHERE enabled AND ($10::text IS NULL OR status = $10)");
    const ROWS: &str = concat!(
        judged!(),
        "SELECT id, email, day, quota, sent, status, opens, closes FROM judged
         WHERE enabled AND ($10::text IS NULL OR status = $10) AND ($11::bigint IS NULL OR id > $11)
         ORDER BY id LIMIT $12"
    );
    let clocks = Clocks::at(pool, now).await?;
    let (total,): (i64,) = bound(sqlx::query_as(COUNT), clocks.clone(), user).bind(status).fetch_one(pool).await?;
    let rows = bound(sqlx::query_as(ROWS), clocks, user).bind(status).bind(page.after).bind(page.limit);
    Ok((total, rows.fetch_all(pool).await?))
}

/// Returns the mailbox `id` of `user`, or of anybody, also one that is switched off; none where there is no such one.
pub async fn quota_of(
    pool: &PgPool,
    user: Option<UserId>,
    id: i64,
    now: DateTime<Utc>,
) -> Result<Option<QuotaRow>, sqlx::Error> {
    const ONE: &str =
        concat!(judged!(), "SELECT id, email, day, quota, sent, status, opens, closes FROM judged WHERE id = $10");
    bound(sqlx::query_as(ONE), Clocks::at(pool, now).await?, user).bind(id).fetch_optional(pool).await
}

type Asking<'q, T> = QueryAs<'q, sqlx::Postgres, T, PgArguments>;

pub(super) fn bound<T>(query: Asking<'_, T>, clocks: Clocks, user: Option<UserId>) -> Asking<'_, T> {
    query
        .bind(clocks.zones)
        .bind(clocks.starts)
        .bind(clocks.ends)
        .bind(clocks.days)
        .bind(clocks.parts)
        .bind(clocks.wholes)
        .bind(clocks.opens)
        .bind(clocks.closes)
        .bind(user.map(|user| user.0))
}
