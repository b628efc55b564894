//! This module lists, creates and changes the owners of mailboxes.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use thiserror::Error;

pub use crate::adapters::postgres::users::{User, all};
use crate::{
    adapters::postgres::{plan_requests, transaction, users},
    domain::{enrolment::user_address, id::UserId},
    reporting::snapshot::SnapshotCache,
};

/// The reasons why no user was created or changed.
#[derive(Debug, Error)]
pub enum UserError {
    #[error("{0}: {1}")]
    Address(String, String),
    #[error("{0} is a user already: `warmup user set` changes it")]
    Exists(String),
    #[error("no such user: {}; nothing was changed", .0.join(", "))]
    Unknown(Vec<String>),
    #[error("there would be no admin left: make another user one first (`warmup user set ADDRESS --role admin`)")]
    LastAdmin,
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

/// A `UserUpdate` holds the fields to change; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct UserUpdate {
    pub role: Option<String>,
    /// The new daily limit; the inner `None` means no limit.
    pub daily_limit: Option<Option<i32>>,
}

/// The changes of one user.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Changed {
    pub email: String,
    /// The changes in words; empty if nothing was different.
    pub changes: Vec<String>,
}

/// Returns the first `limit` users with an id greater than `after`, by id: all users, or only `user`.
pub async fn page(
    pool: &PgPool,
    census: &SnapshotCache,
    user: Option<UserId>,
    (after, limit): (Option<i64>, i64),
    now: DateTime<Utc>,
) -> Result<Vec<User>, sqlx::Error> {
    census.current(user, now).await?;
    users::page(pool, user, after, limit).await
}

/// Creates a user. Returns its stored address and its id.
pub async fn add(
    pool: &PgPool,
    email: &str,
    wanted: &UserUpdate,
    now: DateTime<Utc>,
) -> Result<(String, UserId), UserError> {
    let address = address(email)?;
    let mut transaction = transaction::begin(pool).await?;
    let role = wanted.role.as_deref().unwrap_or("user");
    let made = users::add(&mut transaction, &address, role, wanted.daily_limit.flatten(), now).await?;
    let id = made.ok_or_else(|| UserError::Exists(address.clone()))?;
    transaction.commit().await?;
    Ok((address, id))
}

/// Changes users: all of them, or none.
pub async fn set(
    pool: &PgPool,
    emails: &[String],
    wanted: &UserUpdate,
    now: DateTime<Utc>,
) -> Result<Vec<Changed>, UserError> {
    let mut asked = emails.iter().map(|email| address(email)).collect::<Result<Vec<_>, _>>()?;
    asked.sort_unstable();
    asked.dedup();
    let mut transaction = transaction::begin(pool).await?;
    let mut stored = users::lock(&mut transaction, &asked).await?;
    let is_asked = |user: &User| asked.contains(&user.email.to_lowercase());
    let known: Vec<String> = stored.iter().map(|user| user.email.to_lowercase()).collect();
    let unknown: Vec<String> = asked.iter().filter(|email| !known.contains(email)).cloned().collect();
    if !unknown.is_empty() {
        return Err(UserError::Unknown(unknown));
    }
    let mut changed = Vec::new();
    for user in stored.iter_mut().filter(|user| is_asked(user)) {
        let changes = wanted.lay_onto(user);
        if !changes.is_empty() {
            users::write(&mut transaction, user, changes.join(", "), now).await?;
        }
        changed.push(Changed { email: user.email.clone(), changes });
    }
    if !stored.iter().any(|user| user.role == "admin") {
        return Err(UserError::LastAdmin);
    }
    // A raised limit lets the mailboxes send again, so they are planned at once.
    let ids: Vec<i64> = stored.iter().filter(|user| is_asked(user)).map(|user| user.id).collect();
    let mailboxes = plan_requests::mailboxes_of(&mut transaction, &ids, &[], &[]).await?;
    plan_requests::request(&mut transaction, &mailboxes).await?;
    transaction.commit().await?;
    Ok(changed)
}

fn address(text: &str) -> Result<String, UserError> {
    user_address(text).map_err(|message| UserError::Address(text.to_owned(), message))
}

impl UserUpdate {
    /// Changes `user` and returns the changes in words.
    fn lay_onto(&self, user: &mut User) -> Vec<String> {
        let mut changes = Vec::new();
        if let Some(role) = self.role.as_ref().filter(|role| **role != user.role) {
            changes.push(format!("role {role} (was {})", user.role));
            user.role.clone_from(role);
        }
        if let Some(limit) = self.daily_limit.filter(|limit| *limit != user.daily_limit) {
            changes.push(format!("daily limit {} (was {})", in_words(limit), in_words(user.daily_limit)));
            user.daily_limit = limit;
        }
        changes
    }
}

/// Returns the text of a limit: a number, or `none`.
pub fn in_words(limit: Option<i32>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}
