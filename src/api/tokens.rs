//! The route `/api/warmup/tokens` lists, creates and revokes tokens: an admin's are all tokens, a user's are
//! their own.

use axum::extract::State;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, CreatedResponse, Envelope},
    extract::{Id, JsonBody, QueryParams},
    pagination::{self, Paging},
    problem::Problem,
};
use crate::admin::tokens::{self, Token, TokenError, TokenRequest};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenList {
    /// By id, including revoked and expired ones.
    tokens: Vec<Token>,
    /// The cursor of the next page; none on the last page.
    next_cursor: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewToken {
    /// The purpose of the token.
    name: String,
    /// The address of the user that the token authenticates; by default the caller.
    user: Option<String>,
    /// The end of its validity; by default it is valid until it is revoked.
    expires_at: Option<DateTime<Utc>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct NewlyMade {
    #[serde(flatten)]
    kept: Token,
    /// The secret of the token, shown only once.
    token: String,
}

/// Lists tokens without their secrets.
#[utoipa::path(get, path = "/tokens", tag = "tokens", params(Paging),
    responses((status = 200, description = "A page of them", body = Envelope<TokenList>)))]
pub(super) async fn list(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Paging>,
) -> ApiResult<TokenList> {
    let page = pagination::page(asked.limit, asked.cursor.as_deref())?;
    let scope = caller.identity.scope();
    let mut tokens = tokens::page(&front.desk.database, scope, page.after, page.limit + 1).await?;
    let next_cursor = pagination::cut(&mut tokens, page.limit, |token| token.id.to_string());
    Ok(front.answer(TokenList { tokens, next_cursor }))
}

/// Creates a token.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, description = "The token, for the only time", body = Envelope<NewlyMade>)))]
pub(super) async fn create(
    State(front): State<SharedState>,
    caller: Caller,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<CreatedResponse<NewlyMade>, Problem> {
    let user = whose(&caller, new.user)?;
    let wanted = TokenRequest { user, name: new.name, expires_at: new.expires_at };
    let (secret, kept) = tokens::create(&front.desk.database, &wanted, front.desk.clock.now()).await?;
    Ok(CreatedResponse(front.answer(NewlyMade { kept, token: secret.expose_secret().to_owned() })))
}

/// Returns the user of the new token. Only an admin creates tokens for other users.
fn whose(caller: &Caller, user: Option<String>) -> Result<String, Problem> {
    let own = caller.identity.user.is_some().then(|| caller.identity.name.clone());
    match (user, own) {
        (Some(user), own) if own.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(user.trim())) => Ok(user),
        (Some(user), _) => caller.require_admin().map(|()| user),
        (None, Some(own)) => Ok(own),
        (None, None) => {
            Err(Problem::unprocessable("say whom the token is for in `user`: WARMUP_ADMIN_TOKEN belongs to no user"))
        }
    }
}

/// Revokes a token, at once and permanently.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", params(("id" = i64, Path,)),
    responses((status = 200, description = "The token as it stands now", body = Envelope<Token>)))]
pub(super) async fn revoke(State(front): State<SharedState>, caller: Caller, Id(id): Id) -> ApiResult<Token> {
    let (desk, scope) = (&front.desk, caller.identity.scope());
    let revoked = tokens::revoke(&desk.database, &[id], scope, desk.clock.now()).await?.pop();
    Ok(front.answer(revoked.ok_or_else(|| Problem::not_found("there is no such token"))?))
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Problem {
        match error {
            TokenError::Database(error) => error.into(),
            TokenError::Unknown(_) => Problem::not_found("there is no such token: /api/warmup/tokens lists them"),
            wrong => Problem::unprocessable(wrong.to_string()),
        }
    }
}
