//! This module reports the mailboxes' results over the retained days, beside their today.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::quota::{QuotaList, QuotaStatus, fill_rate, listed};
use crate::{
    domain::id::UserId,
    reporting::{
        snapshot::SnapshotCache,
        sql::{self, History, Page, QuotaRow},
    },
};

/// A mailbox's performance.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Performance {
    pub mailbox_id: i64,
    pub email: String,
    /// Mails sent on the retained days (WARMUP_LOG_RETENTION_DAYS).
    pub total_sent: i64,
    /// Refused or uncertain mails on those days.
    pub total_failed: i64,
    /// The average time from the connection to the answer; absent if no mail was timed yet.
    pub avg_send_time_ms: Option<i64>,
    pub last_send_time: Option<DateTime<Utc>>,
    /// The sent part of today's quota, in percent.
    pub quota_fill_rate: f64,
    /// Days in a row on which the whole quota was sent.
    pub current_streak: i64,
}

/// Returns performance and quota of the mailbox `id` of `user`, or of any user; `None` if it does not exist.
pub async fn performance_of(
    pool: &PgPool,
    user: Option<UserId>,
    id: i64,
    now: DateTime<Utc>,
) -> Result<Option<(Performance, QuotaStatus)>, sqlx::Error> {
    let row = sql::quota_of(pool, user, id, now).await?;
    let performance = of_rows(pool, row.as_slice()).await?.pop();
    Ok(performance.zip(row.map(|row| QuotaStatus::of(&row, now))))
}

/// Returns a page of the enabled mailboxes of `user`, or of all, from the last snapshot, and their total number.
pub async fn performances(
    pool: &PgPool,
    census: &SnapshotCache,
    user: Option<UserId>,
    page: Page,
    now: DateTime<Utc>,
) -> Result<(QuotaList, Vec<Performance>), sqlx::Error> {
    let (list, rows) = listed(pool, census, user, None, page, now).await?;
    Ok((list, of_rows(pool, &rows).await?))
}

/// Returns the performance of the mailboxes of `rows`, in their order.
pub(super) async fn of_rows(pool: &PgPool, rows: &[QuotaRow]) -> Result<Vec<Performance>, sqlx::Error> {
    let asked: Vec<_> = rows.iter().map(|row| (row.id, row.day)).collect();
    let histories = sql::histories(pool, &asked).await?;
    let histories: HashMap<i64, History> = histories.into_iter().map(|history| (history.mailbox_id, history)).collect();
    let none = History::default();
    Ok(rows.iter().map(|row| Performance::of(row, histories.get(&row.id).unwrap_or(&none))).collect())
}

impl Performance {
    fn of(row: &QuotaRow, history: &History) -> Performance {
        Performance {
            mailbox_id: row.id,
            email: row.email.clone(),
            total_sent: history.sent,
            total_failed: history.failed,
            avg_send_time_ms: (history.timed > 0).then(|| history.latency_ms / history.timed),
            last_send_time: history.last_sent_at,
            quota_fill_rate: fill_rate(row),
            current_streak: history.streak,
        }
    }
}
