//! `/metrics`: what Prometheus reads. Numbers of the fleet and of this process, and nothing that names anybody: so it needs
//! no token. A scrape does not fail because Postgres is away: what this process counts is what one wants to see then.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

use super::Shared;
use crate::{app::overview::fleet_gauges, observe::fleet};

/// Answers a scrape.
pub(super) async fn metrics(State(front): State<Shared>) -> Response {
    let text = front.scrapes.answer((), async { Arc::from(text(&front).await) }).await;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text.to_string()).into_response()
}

/// Everything in Prometheus' text format.
pub(super) async fn text(front: &Shared) -> String {
    let desk = &front.desk;
    let mut text = match fleet_gauges(&desk.database, &desk.census, &desk.settings, desk.clock.now()).await {
        Ok(gauges) => fleet::text(&gauges),
        Err(error) => {
            tracing::warn!(%error, "a scrape goes without the fleet's gauges: Postgres does not answer");
            String::new()
        }
    };
    if desk.settings.enable_detailed_metrics {
        text += &desk.meters.text();
    }
    text
}
