//! The route `/api/warmup/mailbox` shows the performance and the quota of one mailbox or of all.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
    extract::QueryParams,
    pagination,
    problem::Problem,
};
use crate::reporting::{Performance, QuotaStatus, performance_of, performances};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only this mailbox.
    id: Option<i64>,
    /// The number of rows of a page; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// The nextCursor of the previous page.
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Shown)]
#[serde(untagged)]
pub(super) enum PerformanceResponse {
    One(MailboxPerformance),
    All(PerformanceList),
}

/// One mailbox.
#[derive(Serialize, ToSchema)]
#[schema(as = One)]
pub(super) struct MailboxPerformance {
    metrics: Performance,
    quota: QuotaStatus,
}

/// A page of mailboxes, both lists by id.
#[derive(Serialize, ToSchema)]
#[schema(as = All)]
#[serde(rename_all = "camelCase")]
pub(super) struct PerformanceList {
    metrics: Vec<Performance>,
    quotas: Vec<QuotaStatus>,
    summary: MailboxSummary,
    /// The cursor of the next page; none on the last page.
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MailboxSummary {
    /// The number of mailboxes on all pages.
    total: i64,
    /// The mean of today's fill rates on this page, in percent.
    avg_fill_rate: f64,
}

/// Shows mailboxes that are switched on, or one.
#[utoipa::path(get, path = "/mailbox", tag = "mailboxes", params(Parameters),
    responses((status = 200, description = "One, or a page of them", body = Envelope<PerformanceResponse>)))]
pub(super) async fn show(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Parameters>,
) -> ApiResult<PerformanceResponse> {
    let (pool, scope, now) = (&front.desk.database, caller.identity.scope(), front.desk.clock.now());
    if let Some(id) = asked.id {
        let both = performance_of(pool, scope, id, now).await?;
        let (metrics, quota) = both.ok_or_else(|| Problem::not_found(format!("there is no mailbox {id}")))?;
        return Ok(front.answer(PerformanceResponse::One(MailboxPerformance { metrics, quota })));
    }
    let page = pagination::page(asked.limit, asked.cursor.as_deref())?;
    let (list, metrics) = performances(pool, &front.desk.census, scope, page, now).await?;
    let mean = list.quotas.iter().map(fill_rate).sum::<f64>() / list.quotas.len().max(1) as f64;
    let summary = MailboxSummary { total: list.total, avg_fill_rate: (mean * 100.0).round() / 100.0 };
    let (quotas, next_cursor) = (list.quotas, list.next_cursor);
    Ok(front.answer(PerformanceResponse::All(PerformanceList { metrics, quotas, summary, next_cursor })))
}

/// Returns the unrounded fill rate, in percent. A mean of rounded rates would be inexact.
fn fill_rate(quota: &QuotaStatus) -> f64 {
    match quota.daily_quota {
        0 => 100.0,
        owed => (f64::from(quota.sent_today) * 100.0 / f64::from(owed)).min(100.0),
    }
}
