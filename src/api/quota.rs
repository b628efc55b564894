//! The route `/api/warmup/quota` lists mailboxes with their quota of today.

use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
    extract::QueryParams,
    pagination,
};
use crate::reporting::{QuotaList, QuotaSearch, quota_list, quotas_found};

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[schema(as = Status)]
#[serde(rename_all = "kebab-case")]
pub(super) enum QuotaStateFilter {
    #[default]
    All,
    Behind,
    Complete,
    OnTrack,
    Failing,
}

impl QuotaStateFilter {
    fn word(self) -> Option<&'static str> {
        match self {
            QuotaStateFilter::All => None,
            QuotaStateFilter::Behind => Some("behind"),
            QuotaStateFilter::Complete => Some("complete"),
            QuotaStateFilter::OnTrack => Some("on-track"),
            QuotaStateFilter::Failing => Some("failing"),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only mailboxes with this status.
    #[serde(default)]
    #[param(inline, required = false)]
    status: QuotaStateFilter,
    /// Only those with this in their address.
    search: Option<String>,
    /// The number of rows of a page; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// The nextCursor of the previous page.
    cursor: Option<String>,
}

/// Lists mailboxes that are switched on, by id.
#[utoipa::path(get, path = "/quota", tag = "mailboxes", params(Parameters),
    responses((status = 200, description = "A page of them", body = Envelope<QuotaList>)))]
pub(super) async fn list(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Parameters>,
) -> ApiResult<QuotaList> {
    let page = pagination::page(asked.limit, asked.cursor.as_deref())?;
    let desk = &front.desk;
    let status = asked.status.word();
    if let Some(part) = asked.search.as_deref() {
        let (scope, looked) = (caller.identity.scope(), QuotaSearch { part, status });
        return Ok(
            front.answer(quotas_found(&desk.database, &desk.census, scope, looked, page, desk.clock.now()).await?)
        );
    }
    let quotas =
        quota_list(&desk.database, &desk.census, caller.identity.scope(), status, page, desk.clock.now()).await?;
    Ok(front.answer(quotas))
}
