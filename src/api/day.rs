//! The route `/api/warmup/day` compares the mails sent today with the plan, as a curve.

use axum::extract::State;

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
};
use crate::reporting::{DayCurve, day_curve};

/// Shows today's mails and plan as a curve.
#[utoipa::path(get, path = "/day", tag = "fleet",
    responses((status = 200, description = "What is planned and what went", body = Envelope<DayCurve>)))]
pub(super) async fn show(State(front): State<SharedState>, caller: Caller) -> ApiResult<DayCurve> {
    let desk = &front.desk;
    Ok(front.answer(day_curve(&desk.database, &desk.census, caller.identity.scope(), desk.clock.now()).await?))
}
