//! This module confirms and revokes domains of users.
//!
//! A user chooses the address and the mail host of a mailbox. So a mailbox that a user enrols receives from
//! other owners only when it is verified. A mailbox is verified if an admin enrolled it, if an admin confirmed
//! its domain for that user, or by a code (`verification.rs`).

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use thiserror::Error;
use utoipa::ToSchema;

pub use crate::adapters::postgres::domains::{VerifiedDomain, verified_domains};
use crate::{
    adapters::postgres::{domains, enrol, plan_requests, transaction},
    domain::{address::mailbox_address, free_mail::is_free_mail},
    reporting::snapshot,
};

/// The reasons why no domain was confirmed or revoked.
#[derive(Debug, Error)]
pub enum DomainError {
    #[error("{0} is no domain: write one like example.com")]
    Name(String),
    #[error(
        "{0} is a free-mail domain, where everybody may have an address: import the user's mailboxes as an admin instead"
    )]
    FreeMail(String),
    #[error("{0} is no user: `warmup user list` shows all")]
    User(String),
    #[error("{0} is not confirmed for that user: `warmup domain list` shows those that are")]
    Unknown(String),
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

/// The result of a confirmation or of its revocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DomainChange {
    pub domain: String,
    pub user: String,
    /// The number of mailboxes that became verified, or unverified.
    pub mailboxes: usize,
}

/// Confirms that `domain` belongs to `user`. The user's mailboxes in it, present and future, receive from other
/// owners.
pub async fn verify(
    pool: &PgPool,
    domain: &str,
    user: &str,
    by: &str,
    now: DateTime<Utc>,
) -> Result<DomainChange, DomainError> {
    let domain = name(domain)?;
    if is_free_mail(&domain) {
        return Err(DomainError::FreeMail(domain));
    }
    let mut transaction = transaction::begin(pool).await?;
    // Locks out enrolments: a concurrent one would not see this confirmation, nor would this see its mailboxes.
    enrol::begin(&mut transaction).await?;
    let id = domains::user(&mut transaction, user).await?.ok_or_else(|| DomainError::User(user.to_owned()))?;
    let verified = domains::verify(&mut transaction, id, &domain, by, now).await?;
    plan_requests::request(&mut transaction, &verified).await?;
    transaction.commit().await?;
    snapshot::mark(pool).await;
    Ok(DomainChange { domain, user: user.to_owned(), mailboxes: verified.len() })
}

/// Revokes the confirmation of `domain` for `user`.
pub async fn revoke(
    pool: &PgPool,
    domain: &str,
    user: &str,
    by: &str,
    now: DateTime<Utc>,
) -> Result<DomainChange, DomainError> {
    let domain = name(domain)?;
    let mut transaction = transaction::begin(pool).await?;
    enrol::begin(&mut transaction).await?;
    let id = domains::user(&mut transaction, user).await?.ok_or_else(|| DomainError::User(user.to_owned()))?;
    let revoked = domains::revoke(&mut transaction, id, &domain, by, now).await?;
    let mailboxes = revoked.ok_or_else(|| DomainError::Unknown(domain.clone()))?.len();
    transaction.commit().await?;
    snapshot::mark(pool).await;
    Ok(DomainChange { domain, user: user.to_owned(), mailboxes })
}

/// Returns the domain in the form that stored addresses use.
fn name(text: &str) -> Result<String, DomainError> {
    let text = text.trim().trim_end_matches('.');
    let address = mailbox_address(&format!("a@{text}")).map_err(|_| DomainError::Name(text.to_owned()))?;
    Ok(address["a@".len()..].to_owned())
}
