//! /api/warmup/users: the owners of mailboxes. Whoever is no admin sees only themselves.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Shared,
    auth::Caller,
    extract::Id,
    problem::Problem,
    reply::{Envelope, Reply},
};
use crate::app::users::{self, User};

#[derive(Serialize, ToSchema)]
pub(super) struct UserList {
    /// By id.
    users: Vec<User>,
}

/// Lists users.
#[utoipa::path(get, path = "/users", tag = "users",
    responses((status = 200, description = "The users", body = Envelope<UserList>)))]
pub(super) async fn list(State(front): State<Shared>, caller: Caller) -> Reply<UserList> {
    Ok(front.answer(UserList { users: visible(&front, &caller).await? }))
}

/// Shows a user.
#[utoipa::path(get, path = "/users/{id}", tag = "users", params(("id" = i64, Path,)),
    responses((status = 200, description = "The user", body = Envelope<User>)))]
pub(super) async fn show(State(front): State<Shared>, caller: Caller, Id(id): Id) -> Reply<User> {
    Ok(front.answer(find(&front, &caller, id).await?))
}

pub(super) async fn find(front: &Shared, caller: &Caller, id: i64) -> Result<User, Problem> {
    let found = visible(front, caller).await?.into_iter().find(|user| user.id == id);
    found.ok_or_else(|| Problem::not_found(format!("there is no user {id}: /api/warmup/users lists all")))
}

async fn visible(front: &Shared, caller: &Caller) -> Result<Vec<User>, Problem> {
    let mut users = users::all(&front.desk.database).await?;
    if let Some(own) = caller.0.scope() {
        users.retain(|user| user.id == own.0);
    }
    Ok(users)
}
