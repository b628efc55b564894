//! The route `/metrics` serves the metrics of the fleet and of this process to Prometheus.
//!
//! The metrics name no user and no mailbox, so the route needs no token. A scrape succeeds while Postgres is
//! unavailable.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

use super::SharedState;
use crate::api::exposition;

/// Answers a scrape; concurrent scrapes share one answer.
pub(super) async fn metrics(State(front): State<SharedState>) -> Response {
    let text = front.scrapes.answer((), async { Arc::from(text(&front).await) }).await;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text.to_string()).into_response()
}

/// Returns all metrics in Prometheus' text format.
pub(super) async fn text(front: &SharedState) -> String {
    exposition::fleet(&front.desk).await + &exposition::process(&front.desk)
}
