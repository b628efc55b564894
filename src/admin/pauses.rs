//! This module lists and ends pauses of mail hosts and domains.
//!
//! - A host is paused for everybody because mailboxes of several owners failed there.
//! - A host is paused for one owner by name:port, or by name:port/security if that owner's mailboxes can't
//!   connect or log in.
//! - A domain is paused for one owner.
//!
//! An owner sees the pauses that stop the owner's mailboxes, and ends those that concern the owner alone.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use thiserror::Error;

use super::mailbox_state::{self, EndedPause, OPERATOR};
pub use crate::adapters::postgres::mailbox_state::{StandingPause, standing_pauses};
use crate::{
    adapters::postgres::{
        mailbox_state::{ActivePause, held, release},
        plan_requests, transaction,
    },
    domain::id::UserId,
    reporting::snapshot,
};

/// A `PauseKey` identifies the pauses to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseKey {
    /// `host` or `domain`.
    pub scope: &'static str,
    /// A host's name, name:port, or its key in the list; or a domain. Case does not count.
    pub key: String,
    /// The owner whose pause is meant; `None` means the common one and those of all owners.
    pub user: Option<String>,
}

/// The reasons why no pause was ended.
#[derive(Debug, Error)]
pub enum EndError {
    #[error("no such pause stands: `warmup pause list` shows those that do")]
    Unknown,
    #[error("it is paused for everybody")]
    Common,
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

/// Ends the pauses that `wanted` means: those of `owner` alone, or of everybody. Returns the ended pauses; their
/// mailboxes are planned at once.
///
/// Returns `Common` if only a pause for everybody matches, which the owner may not end.
pub async fn end(
    pool: &PgPool,
    owner: Option<UserId>,
    wanted: &PauseKey,
    now: DateTime<Utc>,
) -> Result<Vec<EndedPause>, EndError> {
    let key = wanted.key.trim().trim_end_matches('.').to_lowercase();
    let (host, domain) = if wanted.scope == "host" { (Some(key.as_str()), None) } else { (None, Some(key.as_str())) };
    let mut transaction = transaction::begin(pool).await?;
    let found = held(&mut transaction, host, domain, now).await?;
    let is_meant = |held: &ActivePause| wanted.user.as_ref().is_none_or(|user| is_of(held, user));
    let is_theirs = |held: &ActivePause| owner.is_none_or(|owner| held.user_id == Some(owner.0));
    let (theirs, others): (Vec<ActivePause>, Vec<ActivePause>) =
        found.into_iter().filter(is_meant).partition(is_theirs);
    if theirs.is_empty() {
        let is_common = others.iter().any(|held| held.user_id.is_none());
        return Err(if is_common { EndError::Common } else { EndError::Unknown });
    }
    let ended = release(&mut transaction, &theirs, OPERATOR, now).await?;
    let able = mailbox_state::of_held(&mut transaction, &ended).await?;
    plan_requests::request(&mut transaction, &able).await?;
    transaction.commit().await?;
    snapshot::mark(pool).await;
    Ok(ended.into_iter().map(EndedPause::of).collect())
}

fn is_of(held: &ActivePause, user: &str) -> bool {
    held.user.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(user.trim()))
}
