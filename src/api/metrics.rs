//! The route `/api/warmup/metrics` shows the metrics of the day.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{SharedState, auth::Caller, envelope::Envelope, extract::QueryParams, problem::Problem, scrape};
use crate::reporting::{Metrics, metrics};

/// The format of the metrics.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    #[default]
    Json,
    /// The format of `/metrics`; for admins.
    Prometheus,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// The format: json by default.
    #[serde(default)]
    #[param(inline, required = false)]
    format: Format,
}

/// Shows the metrics of the day.
#[utoipa::path(get, path = "/metrics", tag = "fleet", params(Parameters),
    responses((status = 200, description = "The day", content(
        (Envelope<Metrics> = "application/json"),
        (String = "text/plain")))))]
pub(super) async fn show(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Parameters>,
) -> Result<Response, Problem> {
    if asked.format == Format::Prometheus {
        caller.require_admin()?;
        return Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], scrape::text(&front).await).into_response());
    }
    let metrics = metrics(front.desk.sources(), caller.identity.scope(), front.desk.clock.now()).await?;
    Ok(front.answer(metrics).into_response())
}
