//! Bearer tokens of the API: made, listed, revoked, and whom one speaks for.

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

/// The longest name that a token may have.
const LONGEST_NAME: usize = 100;
/// The uses of a token within this time are noted once.
const NOTED_ONCE: TimeDelta = TimeDelta::minutes(1);

/// Why no token was made or revoked.
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

/// A token that is to be made.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The address of the user whom it will speak for, in any case.
    pub user: String,
    /// What it is for.
    pub name: String,
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes a token and returns it, for the only time, with what is kept of it.
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

/// Returns the tokens of `user`, or of everybody, by id; also those that hold no more.
pub async fn all(pool: &PgPool, user: Option<UserId>) -> Result<Vec<Token>, sqlx::Error> {
    tokens::all(pool, user).await
}

/// Revokes tokens of `user`, or of anybody, at once and for good: all of them, or none. One that was revoked before stays
/// as it is.
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

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// None for the token of the environment, which belongs to nobody.
    pub user: Option<UserId>,
    /// As an order of theirs is signed.
    pub name: String,
    /// Sees and orders all; others see and change their own mailboxes.
    pub is_admin: bool,
}

impl Identity {
    /// Returns whose mailboxes they may see; none for everybody's.
    pub fn scope(&self) -> Option<UserId> {
        self.user.filter(|_| !self.is_admin)
    }
}

/// Returns whom the token with this hash speaks for: the environment's, which needs no database, or a stored one that is
/// neither revoked nor expired.
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
