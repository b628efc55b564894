//! `/metrics`: what Prometheus reads. Numbers of the fleet and of this process, and nothing that names anybody: so it needs
//! no token. A scrape does not fail because Postgres is away.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

use super::SharedState;
use crate::api::exposition;

/// Answers a scrape.
pub(super) async fn metrics(State(front): State<SharedState>) -> Response {
    let text = front.scrapes.answer((), async { Arc::from(text(&front).await) }).await;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text.to_string()).into_response()
}

/// Everything in Prometheus' text format.
pub(super) async fn text(front: &SharedState) -> String {
    exposition::fleet(&front.desk).await + &exposition::process(&front.desk)
}
