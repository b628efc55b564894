//! /api/warmup/control: the fleet's order and its workers.

use axum::extract::State;

use super::{
    Shared,
    auth::Caller,
    problem::Problem,
    reply::{Envelope, Reply},
};
use crate::app::overview::{ControlStatus, LookError, control_status};

/// Shows the fleet.
#[utoipa::path(get, path = "/control", tag = "fleet",
    responses((status = 200, description = "The fleet", body = Envelope<ControlStatus>)))]
pub(super) async fn show(State(front): State<Shared>, caller: Caller) -> Reply<ControlStatus> {
    let status = control_status(front.desk.sources(), caller.0.scope(), front.desk.clock.now()).await?;
    Ok(front.answer(status))
}

impl From<LookError> for Problem {
    fn from(error: LookError) -> Problem {
        match error {
            LookError::Database(error) => error.into(),
            LookError::Redis(error) => {
                tracing::warn!(%error, "a request needs Redis, which does not answer");
                Problem::unavailable("Redis does not answer: check that it runs and is reached, then ask again")
            }
        }
    }
}
