//! /api/warmup/me: whom a token speaks for, so that a page shows what its reader may do.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
};

/// Whom the token speaks for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Me {
    /// The user's address; of the environment's token its setting.
    name: String,
    /// Sees and orders all; others see and change their own mailboxes.
    is_admin: bool,
}

/// Shows whom the token speaks for.
#[utoipa::path(get, path = "/me", tag = "tokens", responses((status = 200, description = "You", body = Envelope<Me>)))]
pub(super) async fn show(State(front): State<SharedState>, caller: Caller) -> ApiResult<Me> {
    Ok(front.answer(Me { name: caller.identity.name, is_admin: caller.identity.is_admin }))
}
