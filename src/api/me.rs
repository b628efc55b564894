//! The route `/api/warmup/me` shows the caller's identity, so that a page can show the permitted actions.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
};

/// The identity of the token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Me {
    /// The user's address, or the name of the setting for the environment's token.
    name: String,
    /// Sees and orders all; others see and change their own mailboxes.
    is_admin: bool,
}

/// Shows the caller's identity.
#[utoipa::path(get, path = "/me", tag = "tokens", responses((status = 200, description = "You", body = Envelope<Me>)))]
pub(super) async fn show(State(front): State<SharedState>, caller: Caller) -> ApiResult<Me> {
    Ok(front.answer(Me { name: caller.identity.name, is_admin: caller.identity.is_admin }))
}
