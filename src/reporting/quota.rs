//! This module compares mailboxes with their quota today.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::percent;
use crate::{
    domain::id::UserId,
    reporting::{
        snapshot::SnapshotCache,
        sql::{self, Page, QuotaRow, Totals},
    },
};

/// A mailbox against its quota.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaStatus {
    pub mailbox_id: i64,
    pub email: String,
    pub daily_quota: i32,
    pub sent_today: i32,
    pub remaining: i32,
    /// The sent part of the quota; 100 for a quota of 0.
    pub percent_complete: f64,
    /// `complete`, `on-track`, `behind` (its plan asks for more by now) or `failing` (disabled, or its last three
    /// attempts failed).
    pub status: String,
    /// The rest of today's window, in hours.
    pub hours_remaining: f64,
}

/// A page of mailboxes with their quotas.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaList {
    /// The number of mailboxes on all pages.
    pub total: i64,
    /// The mailboxes by id.
    pub quotas: Vec<QuotaStatus>,
    /// The beginning of the next page; absent on the last one.
    pub next_cursor: Option<String>,
}

/// Returns a page of the enabled mailboxes of `user`, or of all, with `status`, if given.
pub async fn quota_list(
    pool: &PgPool,
    census: &SnapshotCache,
    user: Option<UserId>,
    status: Option<&str>,
    page: Page,
    now: DateTime<Utc>,
) -> Result<QuotaList, sqlx::Error> {
    Ok(listed(pool, census, user, status, page, now).await?.0)
}

/// Returns the page with its rows from the snapshot.
pub(super) async fn listed(
    pool: &PgPool,
    census: &SnapshotCache,
    user: Option<UserId>,
    status: Option<&str>,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(QuotaList, Vec<QuotaRow>), sqlx::Error> {
    let total = stand(&census.current(user, now).await?.totals, status);
    let one_more = Page { limit: page.limit + 1, ..page };
    let mut rows = sql::quotas(pool, user, status, one_more).await?;
    let is_last = rows.len() as i64 <= page.limit;
    rows.truncate(page.limit.max(0) as usize);
    let next_cursor = rows.last().filter(|_| !is_last).map(|row| row.id.to_string());
    let quotas = rows.iter().map(|row| QuotaStatus::of(row, now)).collect();
    Ok((QuotaList { total, quotas, next_cursor }, rows))
}

/// Returns the number of mailboxes with `status`, or of all enabled ones.
fn stand(totals: &Totals, status: Option<&str>) -> i64 {
    match status {
        None => totals.mailboxes,
        Some("complete") => totals.complete,
        Some("on-track") => totals.on_track,
        Some("behind") => totals.behind,
        Some("failing") => totals.failing,
        Some(_) => 0,
    }
}

impl QuotaStatus {
    pub(super) fn of(row: &QuotaRow, now: DateTime<Utc>) -> QuotaStatus {
        let left = row.closes - now.max(row.opens);
        QuotaStatus {
            mailbox_id: row.id,
            email: row.email.clone(),
            daily_quota: row.quota,
            sent_today: row.sent,
            remaining: (row.quota - row.sent).max(0),
            percent_complete: fill_rate(row),
            status: row.status.clone(),
            hours_remaining: hundredths(left.num_seconds().max(0) as f64 / 3600.0),
        }
    }
}

pub(super) fn fill_rate(row: &QuotaRow) -> f64 {
    match row.quota {
        0 => 100.0,
        quota => percent(i64::from(row.sent), i64::from(quota)).min(100.0),
    }
}

pub(super) fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
