//! The route `/api/warmup/domains` lists, confirms and revokes domains of users. Only admins confirm and revoke.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, Envelope},
    extract::{JsonBody, QueryParams},
    problem::Problem,
};
use crate::admin::domains::{self, DomainChange, DomainError, VerifiedDomain};

#[derive(Serialize, ToSchema)]
pub(super) struct DomainList {
    /// By name.
    domains: Vec<VerifiedDomain>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDomain {
    /// Such as example.com.
    domain: String,
    /// The address of the user that owns the domain.
    user: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    domain: String,
    /// The address of the user.
    user: String,
}

/// Lists the confirmed domains: all of them, or a user's own.
#[utoipa::path(get, path = "/domains", tag = "users",
    responses((status = 200, description = "All of them", body = Envelope<DomainList>)))]
pub(super) async fn list(State(front): State<SharedState>, caller: Caller) -> ApiResult<DomainList> {
    let domains = domains::verified_domains(&front.desk.database, caller.identity.scope()).await?;
    Ok(front.answer(DomainList { domains }))
}

/// Confirms that a domain belongs to a user: the user's mailboxes in it receive from other owners.
#[utoipa::path(post, path = "/domains", tag = "users", request_body = NewDomain,
    responses((status = 200, description = "What was done", body = Envelope<DomainChange>)))]
pub(super) async fn verify(
    State(front): State<SharedState>,
    caller: Caller,
    JsonBody(new): JsonBody<NewDomain>,
) -> ApiResult<DomainChange> {
    caller.require_admin()?;
    let (desk, by) = (&front.desk, &caller.identity.name);
    Ok(front.answer(domains::verify(&desk.database, &new.domain, &new.user, by, desk.clock.now()).await?))
}

/// Revokes a confirmation.
#[utoipa::path(delete, path = "/domains", tag = "users", params(Parameters),
    responses((status = 200, description = "What was done", body = Envelope<DomainChange>)))]
pub(super) async fn revoke(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Parameters>,
) -> ApiResult<DomainChange> {
    caller.require_admin()?;
    let (desk, by) = (&front.desk, &caller.identity.name);
    Ok(front.answer(domains::revoke(&desk.database, &asked.domain, &asked.user, by, desk.clock.now()).await?))
}

impl From<DomainError> for Problem {
    fn from(error: DomainError) -> Problem {
        match error {
            DomainError::Database(error) => error.into(),
            DomainError::Name(_) | DomainError::FreeMail(_) => Problem::unprocessable(error.to_string()),
            DomainError::User(_) | DomainError::Unknown(_) => Problem::not_found(error.to_string()),
        }
    }
}
