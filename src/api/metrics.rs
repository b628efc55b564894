//! /api/warmup/metrics: the day in numbers.

use axum::extract::State;

use super::{
    Shared,
    auth::Caller,
    reply::{Envelope, Reply},
};
use crate::app::overview::{Metrics, metrics};

/// Shows the day in numbers.
#[utoipa::path(get, path = "/metrics", tag = "fleet",
    responses((status = 200, description = "The day", body = Envelope<Metrics>)))]
pub(super) async fn show(State(front): State<Shared>, caller: Caller) -> Reply<Metrics> {
    let metrics = metrics(front.desk.sources(), caller.0.scope(), front.desk.clock.now()).await?;
    Ok(front.answer(metrics))
}
