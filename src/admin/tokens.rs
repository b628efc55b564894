//! This module creates, lists, revokes and identifies bearer tokens of the API.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use sqlx::PgPool;
use thiserror::Error;

pub use crate::adapters::postgres::tokens::{Token, page};
use crate::{
    adapters::postgres::{
        tokens::{self, Holder},
        transaction,
    },
    domain::{
        id::UserId,
        token::{TokenHash, token},
    },
};

/// The longest name of a token, in characters.
const LONGEST_NAME: usize = 100;
/// The shortest time between two updates of the last use of a token.
const NOTED_ONCE: TimeDelta = TimeDelta::minutes(1);

/// The reasons why no token was created or revoked.
#[derive(Debug, Error)]
pub enum TokenError {
    #[error("write a name of 1 to 100 characters in one line: it says later what the token is for")]
    Name,
    #[error("the token would have expired already: choose a later time")]
    Expired,
    #[error("{0} is no user: make it one first (`warmup user add`)")]
    User(String),
    #[error("no such token: {}; nothing was revoked", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Unknown(Vec<i64>),
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

/// A `TokenRequest` describes a token to create.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The address of the user that the token authenticates, in any case.
    pub user: String,
    /// The purpose of the token.
    pub name: String,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Creates a token. Returns its secret, which is never shown again, and the stored row.
pub async fn create(
    pool: &PgPool,
    wanted: &TokenRequest,
    now: DateTime<Utc>,
) -> Result<(SecretString, Token), TokenError> {
    let name = wanted.name.trim();
    let is_name = (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if !is_name {
        return Err(TokenError::Name);
    }
    if wanted.expires_at.is_some_and(|at| at <= now) {
        return Err(TokenError::Expired);
    }
    let secret = token(&rand::random());
    let hash = TokenHash::of(secrecy::ExposeSecret::expose_secret(&secret));
    let mut transaction = transaction::begin(pool).await?;
    let made = tokens::add(&mut transaction, wanted.user.trim(), name, &hash, wanted.expires_at, now).await?;
    let made = made.ok_or_else(|| TokenError::User(wanted.user.clone()))?;
    transaction.commit().await?;
    Ok((secret, made))
}

/// Returns the tokens of `user`, or of all users, by id, including revoked and expired ones.
pub async fn all(pool: &PgPool, user: Option<UserId>) -> Result<Vec<Token>, sqlx::Error> {
    tokens::all(pool, user).await
}

/// Revokes tokens of `user`, or of any user, at once and permanently: all of them, or none. A token that was
/// revoked before stays as it is.
pub async fn revoke(
    pool: &PgPool,
    ids: &[i64],
    user: Option<UserId>,
    now: DateTime<Utc>,
) -> Result<Vec<Token>, TokenError> {
    let mut transaction = transaction::begin(pool).await?;
    let found = tokens::lock(&mut transaction, ids, user).await?;
    let unknown: Vec<i64> = ids.iter().copied().filter(|id| found.iter().all(|token| token.id != *id)).collect();
    if !unknown.is_empty() {
        return Err(TokenError::Unknown(unknown));
    }
    tokens::revoke(&mut transaction, ids, now).await?;
    let revoked = tokens::lock(&mut transaction, ids, user).await?;
    transaction.commit().await?;
    Ok(revoked)
}

/// An `Identity` is the authenticated caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user; `None` for the token of the environment, which belongs to no user.
    pub user: Option<UserId>,
    /// The name that signs the caller's orders.
    pub name: String,
    /// True if the caller sees and orders everything; otherwise the caller sees and changes own mailboxes only.
    pub is_admin: bool,
}

impl Identity {
    /// Returns the user whose mailboxes the caller may see; `None` means all mailboxes.
    pub fn scope(&self) -> Option<UserId> {
        self.user.filter(|_| !self.is_admin)
    }
}

/// Returns the identity of the token with this hash. The token is that of the environment, which needs no
/// database, or a stored one that is neither revoked nor expired.
pub async fn identify(
    pool: &PgPool,
    environment: Option<&TokenHash>,
    presented: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<Identity>, sqlx::Error> {
    if environment.is_some_and(|known| known.is(presented)) {
        return Ok(Some(Identity { user: None, name: "WARMUP_ADMIN_TOKEN".to_owned(), is_admin: true }));
    }
    let Some(holder) = tokens::holder(pool, presented, now).await? else { return Ok(None) };
    if holder.last_used_at.is_none_or(|at| now - at >= NOTED_ONCE) {
        tokens::used(pool, holder.token, now).await?;
    }
    Ok(Some(Identity::from(holder)))
}

impl From<Holder> for Identity {
    fn from(holder: Holder) -> Identity {
        Identity { user: Some(UserId(holder.user_id)), name: holder.email, is_admin: holder.role == "admin" }
    }
}
