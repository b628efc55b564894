//! /api/warmup/quota: mailboxes against their quota today.

use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    auth::Caller,
    extract::Asked,
    page,
    reply::{Envelope, Reply},
};
use crate::app::overview::{Looked, QuotaList, quota_list, quotas_found};

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Status {
    #[default]
    All,
    Behind,
    Complete,
    OnTrack,
    Failing,
}

impl Status {
    fn word(self) -> Option<&'static str> {
        match self {
            Status::All => None,
            Status::Behind => Some("behind"),
            Status::Complete => Some("complete"),
            Status::OnTrack => Some("on-track"),
            Status::Failing => Some("failing"),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Only those that stand so.
    #[serde(default)]
    #[param(inline, required = false)]
    status: Status,
    /// Only those with this in their address.
    search: Option<String>,
    /// Rows of a page: 50 unless asked otherwise.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// The nextCursor of the page before.
    cursor: Option<String>,
}

/// Lists mailboxes that are switched on, by id.
#[utoipa::path(get, path = "/quota", tag = "mailboxes", params(Parameters),
    responses((status = 200, description = "A page of them", body = Envelope<QuotaList>)))]
pub(super) async fn list(
    State(front): State<Shared>,
    caller: Caller,
    Asked(asked): Asked<Parameters>,
) -> Reply<QuotaList> {
    let page = page::page(asked.limit, asked.cursor.as_deref())?;
    let desk = &front.desk;
    let status = asked.status.word();
    if let Some(part) = asked.search.as_deref() {
        let (scope, looked) = (caller.identity.scope(), Looked { part, status });
        return Ok(
            front.answer(quotas_found(&desk.database, &desk.census, scope, looked, page, desk.clock.now()).await?)
        );
    }
    let quotas =
        quota_list(&desk.database, &desk.census, caller.identity.scope(), status, page, desk.clock.now()).await?;
    Ok(front.answer(quotas))
}
