//! The route `/api/warmup/users` lists, creates and changes the owners of mailboxes. A user without the admin
//! role sees only itself.

use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{
    SharedState,
    auth::Caller,
    envelope::{ApiResult, CreatedResponse, Envelope},
    extract::{Id, JsonBody, QueryParams},
    pagination::{self, Paging},
    problem::Problem,
};
use crate::{
    admin::users::{self, User, UserError, UserUpdate},
    domain::id::UserId,
};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserList {
    /// By id.
    users: Vec<User>,
    /// The cursor of the next page; none on the last page.
    next_cursor: Option<String>,
}

/// Lists users.
#[utoipa::path(get, path = "/users", tag = "users", params(Paging),
    responses((status = 200, description = "A page of them", body = Envelope<UserList>)))]
pub(super) async fn list(
    State(front): State<SharedState>,
    caller: Caller,
    QueryParams(asked): QueryParams<Paging>,
) -> ApiResult<UserList> {
    let page = pagination::page(asked.limit, asked.cursor.as_deref())?;
    let (desk, scope) = (&front.desk, caller.identity.scope());
    let wanted = (page.after, page.limit + 1);
    let mut users = users::page(&desk.database, &desk.census, scope, wanted, desk.clock.now()).await?;
    let next_cursor = pagination::cut(&mut users, page.limit, |user| user.id.to_string());
    Ok(front.answer(UserList { users, next_cursor }))
}

/// Shows a user.
#[utoipa::path(get, path = "/users/{id}", tag = "users", params(("id" = i64, Path,)),
    responses((status = 200, description = "The user", body = Envelope<User>)))]
pub(super) async fn show(State(front): State<SharedState>, caller: Caller, Id(id): Id) -> ApiResult<User> {
    Ok(front.answer(find(&front, &caller, id).await?))
}

pub(super) async fn find(front: &SharedState, caller: &Caller, id: i64) -> Result<User, Problem> {
    let desk = &front.desk;
    let found = match caller.identity.scope().is_none_or(|own| own.0 == id) {
        true => {
            let (user, now) = (Some(UserId(id)), desk.clock.now());
            users::page(&desk.database, &desk.census, user, (None, 1), now).await?.pop()
        }
        false => None,
    };
    found.ok_or_else(|| Problem::not_found(format!("there is no user {id}: /api/warmup/users lists all")))
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// Sees and orders all.
    Admin,
    /// Sees and changes its own mailboxes.
    User,
}

impl Role {
    fn word(self) -> String {
        match self {
            Role::Admin => "admin",
            Role::User => "user",
        }
        .to_owned()
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewUser {
    /// An address.
    email: String,
    /// `user` by default.
    role: Option<Role>,
    /// Mails a day over all its mailboxes; none for no limit.
    #[schema(minimum = 0)]
    daily_limit: Option<i32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct UserChange {
    role: Option<Role>,
    /// null for no limit; a missing field leaves the limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i32>, minimum = 0)]
    daily_limit: Option<Option<i32>>,
}

/// Deserializes a present field, also if it is null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Creates a user.
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUser,
    responses((status = 201, description = "The user", body = Envelope<User>)))]
pub(super) async fn create(
    State(front): State<SharedState>,
    caller: Caller,
    JsonBody(new): JsonBody<NewUser>,
) -> Result<CreatedResponse<User>, Problem> {
    caller.require_admin()?;
    let wanted = UserUpdate { role: new.role.map(Role::word), daily_limit: Some(limit(new.daily_limit)?) };
    let (desk, now) = (&front.desk, front.desk.clock.now());
    let id = users::add(&desk.database, &new.email, &wanted, now).await?.1;
    Ok(CreatedResponse(front.answer(find(&front, &caller, id.0).await?)))
}

/// Changes a user's role or limit.
#[utoipa::path(patch, path = "/users/{id}", tag = "users", params(("id" = i64, Path,)), request_body = UserChange,
    responses((status = 200, description = "The user as it is now", body = Envelope<User>)))]
pub(super) async fn change(
    State(front): State<SharedState>,
    caller: Caller,
    Id(id): Id,
    JsonBody(change): JsonBody<UserChange>,
) -> ApiResult<User> {
    let known = find(&front, &caller, id).await?;
    caller.require_admin()?;
    let daily_limit = change.daily_limit.map(limit).transpose()?;
    if change.role.is_none() && daily_limit.is_none() {
        return Err(Problem::unprocessable("nothing is to be changed: say role or dailyLimit"));
    }
    let wanted = UserUpdate { role: change.role.map(Role::word), daily_limit };
    users::set(&front.desk.database, &[known.email], &wanted, front.desk.clock.now()).await?;
    Ok(front.answer(find(&front, &caller, id).await?))
}

fn limit(limit: Option<i32>) -> Result<Option<i32>, Problem> {
    match limit {
        Some(..0) => Err(Problem::unprocessable("dailyLimit is a number from 0 on, or null for no limit")),
        limit => Ok(limit),
    }
}

impl From<UserError> for Problem {
    fn from(error: UserError) -> Problem {
        match error {
            UserError::Database(error) => error.into(),
            UserError::Exists(_) | UserError::LastAdmin => Problem::conflict(error.to_string()),
            UserError::Address(..) => Problem::unprocessable(error.to_string()),
            UserError::Unknown(_) => Problem::not_found(error.to_string()),
        }
    }
}
