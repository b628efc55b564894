//! The route `/api/warmup/control` shows the fleet with its workers, and gives orders to it.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
    extract::JsonBody,
    problem::Problem,
};
use crate::{
    admin::fleet_orders::ControlError,
    reporting::{ControlStatus, LookError, control_status},
};

/// Shows the fleet.
#[utoipa::path(get, path = "/control", tag = "fleet",
    responses((status = 200, description = "The fleet", body = Envelope<ControlStatus>)))]
pub(super) async fn show(State(front): State<SharedState>, caller: Caller) -> ApiResult<ControlStatus> {
    let status = control_status(front.desk.sources(), caller.identity.scope(), front.desk.clock.now()).await?;
    Ok(front.answer(status))
}

/// The order to the fleet.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// Sends mails.
    Start,
    /// Finishes mails in progress, and starts no new mail until the fleet is started.
    Stop,
    /// Plans now, without waiting for the next tick.
    Trigger,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    action: Action,
}

/// The result of an order.
#[derive(Serialize, ToSchema)]
#[schema(as = Given)]
pub(super) struct OrderResponse {
    action: Action,
    /// True if the fleet may send now.
    running: bool,
    /// True if the order before was another one.
    changed: bool,
    /// True if the workers were notified. A worker that was not notified obeys at its next heartbeat; none
    /// starts a mail meanwhile.
    announced: bool,
}

/// Gives an order to the whole fleet.
#[utoipa::path(post, path = "/control", tag = "fleet", request_body = Order,
    responses((status = 200, description = "What it came to", body = Envelope<OrderResponse>)))]
pub(super) async fn order(
    State(front): State<SharedState>,
    caller: Caller,
    JsonBody(order): JsonBody<Order>,
) -> ApiResult<OrderResponse> {
    caller.require_admin()?;
    let (desk, action) = (&front.desk, order.action);
    if action == Action::Trigger {
        desk.control.trigger().await?;
        return Ok(front.answer(OrderResponse { action, running: true, changed: false, announced: true }));
    }
    let by = format!("{} by the API", caller.identity.name);
    let ordered = desk.control.order(action == Action::Start, &by, desk.clock.now()).await?;
    let (running, changed, announced) = (ordered.running, ordered.changed, ordered.announced);
    Ok(front.answer(OrderResponse { action, running, changed, announced }))
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Problem {
        match error {
            ControlError::Stopped | ControlError::SetBack(_) => Problem::conflict(error.to_string()),
            ControlError::Silent(_) => Problem::unavailable(error.to_string()),
            ControlError::Ledger(error) => {
                tracing::warn!(%error, "an order can't be written");
                Problem::unavailable("Postgres does not answer: check that it runs and is reached, then ask again")
            }
        }
    }
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
