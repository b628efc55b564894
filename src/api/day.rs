//! /api/warmup/day: what went today against what the plan expects, as a line.

use axum::extract::State;

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
};
use crate::reporting::{DayCurve, day_curve};

/// Shows the day as a line.
#[utoipa::path(get, path = "/day", tag = "fleet",
    responses((status = 200, description = "What is planned and what went", body = Envelope<DayCurve>)))]
pub(super) async fn show(State(front): State<SharedState>, caller: Caller) -> ApiResult<DayCurve> {
    let desk = &front.desk;
    Ok(front.answer(day_curve(&desk.database, &desk.census, caller.identity.scope(), desk.clock.now()).await?))
}
