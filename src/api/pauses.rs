//! The route `/api/warmup/pauses` lists and ends pauses of mail hosts and domains. An owner sees and ends only
//! the owner's pauses.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
    extract::QueryParams,
    problem::Problem,
};
use crate::admin::{
    mailbox_state::EndedPause,
    pauses::{self, EndError, PauseKey, StandingPause},
};

#[derive(Serialize, ToSchema)]
pub(super) struct PauseList {
    /// Hosts first, by name.
    pauses: Vec<StandingPause>,
}

/// The kind of the pause.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    Host,
    Domain,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    #[param(inline)]
    scope: Scope,
    /// The host or the domain, as the list shows it.
    key: String,
    /// Only the pause of this owner; by default also the common one.
    user: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Ended {
    ended: Vec<EndedPause>,
}

/// Lists the pauses of mail hosts and domains.
#[utoipa::path(get, path = "/pauses", tag = "mailboxes",
    responses((status = 200, description = "Those that concern the caller's mailboxes", body = Envelope<PauseList>)))]
pub(super) async fn list(State(front): State<SharedState>, caller: Caller) -> ApiResult<PauseList> {
    let (desk, scope) = (&front.desk, caller.identity.scope());
    let pauses = pauses::standing_pauses(&desk.database, scope, desk.clock.now()).await?;
    Ok(front.answer(PauseList { pauses }))
}

/// Ends a pause. Only an admin ends a common one.
#[utoipa::path(delete, path = "/pauses", tag = "mailboxes", params(Parameters),
    responses((status = 200, description = "What was ended", body = Envelope<Ended>)))]
pub(super) async fn end(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Parameters>,
) -> ApiResult<Ended> {
    let desk = &front.desk;
    let scope = match asked.scope {
        Scope::Host => "host",
        Scope::Domain => "domain",
    };
    let wanted = PauseKey { scope, key: asked.key, user: asked.user };
    let ended = pauses::end(&desk.database, caller.identity.scope(), &wanted, desk.clock.now()).await;
    let ended = ended.map_err(|error| match error {
        EndError::Database(error) => error.into(),
        EndError::Common => Problem::admins_only(),
        EndError::Unknown => Problem::not_found("there is no such pause: /api/warmup/pauses lists those that stand"),
    })?;
    Ok(front.answer(Ended { ended }))
}
