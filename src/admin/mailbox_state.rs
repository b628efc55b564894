//! This module pauses, resumes and removes mailboxes: it selects them, lets a person confirm, and reports the
//! change.
//!
//! ```text
//! choose: the mailboxes that match ─▶ (a person confirms) ─▶ carry out: exactly these mailboxes, checked again
//! ```
//!
//! The ids are fixed when the question is asked, so a mailbox that the question did not count is never changed.
//!
//! - *pause* has no end; it needs `resume`. A disabled mailbox stays disabled, so that its reason is not lost.
//! - *resume* clears everything that stops a mailbox as a sender and as a partner, including pauses with an end.
//!   With a host or a domain it also ends the pause of that host or domain (and the host breaker). With all
//!   mailboxes it ends every such pause. The report lists the pauses that still apply; `pauses.rs` ends them.
//! - *remove* erases the password and retains log and counters. The mailbox is never planned or used as a
//!   partner again. `mailbox add` or an import with a password enrols the address again, in the same row.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use thiserror::Error;
use utoipa::ToSchema;

pub use crate::adapters::postgres::mailbox_state::{ActivePause, Change, Filter, MailboxMatch};
use crate::{
    adapters::postgres::{mailbox_state, plan_requests, transaction},
    domain::id::MailboxId,
    reporting::snapshot,
};

pub use crate::domain::mailbox::OPERATOR;

/// The reasons why no mailbox was chosen.
#[derive(Debug, Error)]
pub enum ChooseError {
    /// Some addresses are not enrolled: all of them. Nothing was changed.
    #[error("not enrolled, or removed: {}; nothing was done", .0.join(", "))]
    Unknown(Vec<String>),
    #[error("no mailbox is meant by that: `warmup mailbox list` shows all")]
    Nobody,
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

/// A `MailboxSelection` holds the matching mailboxes and the effect of the order on each.
#[derive(Clone, Debug, Default)]
pub struct MailboxSelection {
    /// Mailboxes that the order changes.
    pub due: Vec<MailboxMatch>,
    /// Mailboxes that the order leaves as they are.
    pub rest: Vec<MailboxMatch>,
    /// Host and domain pauses that a resume will end.
    pub held: Vec<ActivePause>,
}

/// A mailbox that the order does not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Left)]
pub struct UnchangedMailbox {
    pub email: String,
    /// The state of the mailbox and its reason.
    pub because: String,
}

/// The result of an order about mailboxes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Done)]
#[serde(rename_all = "camelCase")]
pub struct ChangeReport {
    pub changed: Vec<String>,
    pub unchanged: Vec<UnchangedMailbox>,
    /// Hosts and domains whose own pause was ended.
    pub released: Vec<EndedPause>,
    /// Pauses that still stop some of the selected mailboxes from sending, including unchanged ones.
    pub still_held: Vec<EndedPause>,
}

/// A pause of a host or a domain, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Freed)]
pub struct EndedPause {
    /// `host` or `domain`.
    pub scope: String,
    pub key: String,
    /// The owner of the pause; missing if the pause applies to everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub reason: String,
    pub until: DateTime<Utc>,
}

/// Returns the mailboxes that `filter` matches.
///
/// Returns `Unknown` with every address that is not enrolled, and `Nobody` if selectors match no mailbox.
pub async fn choose(
    pool: &PgPool,
    filter: &Filter,
    change: Change,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<MailboxSelection, ChooseError> {
    let mut connection = pool.acquire().await?;
    let found = find(&mut connection, filter).await?;
    let held = match change {
        Change::Resume => {
            mailbox_state::held(&mut connection, filter.host.as_deref(), filter.domain.as_deref(), now).await?
        }
        Change::Pause | Change::Remove => Vec::new(),
    };
    let all = filter.emails.is_none() && filter.user.is_none() && filter.reason.is_none();
    let by_place = filter.host.is_some() || filter.domain.is_some();
    let held = if all || by_place { held } else { Vec::new() };
    if found.is_empty() && held.is_empty() {
        return Err(ChooseError::Nobody);
    }
    let (due, rest): (Vec<MailboxMatch>, Vec<MailboxMatch>) =
        found.into_iter().partition(|found| is_due(found, change, reason));
    Ok(MailboxSelection { due, rest, held })
}

/// Returns the mailboxes that `filter` matches, ordered by id. Returns `Unknown` with every address that is not
/// among them.
pub async fn find(connection: &mut sqlx::PgConnection, filter: &Filter) -> Result<Vec<MailboxMatch>, ChooseError> {
    let found = mailbox_state::find(connection, filter).await?;
    let known: HashSet<String> = found.iter().map(|found| found.email.to_lowercase()).collect();
    let asked = filter.emails.iter().flatten();
    let unknown: Vec<String> = asked.filter(|email| !known.contains(*email)).cloned().collect();
    if unknown.is_empty() { Ok(found) } else { Err(ChooseError::Unknown(unknown)) }
}

/// Carries out the order for all chosen mailboxes in one transaction.
pub async fn carry_out(
    pool: &PgPool,
    chosen: &MailboxSelection,
    change: Change,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<ChangeReport, sqlx::Error> {
    let mut transaction = transaction::begin(pool).await?;
    let ids: Vec<MailboxId> = chosen.due.iter().map(|found| MailboxId(found.id)).collect();
    let changed = mailbox_state::change(&mut transaction, change, &ids, reason, now).await?;
    let released = mailbox_state::release(&mut transaction, &chosen.held, reason, now).await?;
    let still_held = match change {
        Change::Resume => mailbox_state::held(&mut transaction, None, None, now).await?,
        Change::Pause | Change::Remove => Vec::new(),
    };
    if change == Change::Resume {
        let mut able = changed.clone();
        able.extend(of_held(&mut transaction, &released).await?);
        plan_requests::request(&mut transaction, &able).await?;
    }
    transaction.commit().await?;
    snapshot::mark(pool).await;
    let is_changed = |found: &&MailboxMatch| changed.binary_search(&MailboxId(found.id)).is_ok();
    let (done, missed): (Vec<&MailboxMatch>, Vec<&MailboxMatch>) = chosen.due.iter().partition(is_changed);
    let of_these = |held: &ActivePause| chosen.due.iter().chain(&chosen.rest).any(|found| held.holds(found));
    Ok(ChangeReport {
        still_held: still_held.into_iter().filter(of_these).map(EndedPause::of).collect(),
        changed: done.iter().map(|found| found.email.clone()).collect(),
        unchanged: chosen.rest.iter().chain(missed).map(UnchangedMailbox::of).collect(),
        released: released.into_iter().map(EndedPause::of).collect(),
    })
}

/// Returns the mailboxes of hosts and domains whose own pause was ended.
pub(super) async fn of_held(
    connection: &mut sqlx::PgConnection,
    released: &[ActivePause],
) -> Result<Vec<MailboxId>, sqlx::Error> {
    let keys = |scope: &str| -> Vec<&str> {
        released.iter().filter(|held| held.scope == scope).map(ActivePause::name).collect()
    };
    plan_requests::mailboxes_of(connection, &[], &keys("host"), &keys("domain")).await
}

/// Returns whether the order changes the mailbox. The statement of `change` checks the newest version of the row
/// again.
fn is_due(found: &MailboxMatch, change: Change, reason: &str) -> bool {
    match (change, found.state.as_str()) {
        (_, "removed") => false,
        (Change::Remove, _) => true,
        (Change::Resume, state) => state != "active" || !found.receives,
        (Change::Pause, "active") => true,
        (Change::Pause, "paused") => found.paused_until.is_some() || found.reason.as_deref() != Some(reason),
        (Change::Pause, _) => false,
    }
}

impl UnchangedMailbox {
    fn of(found: &MailboxMatch) -> UnchangedMailbox {
        let because = match &found.reason {
            Some(reason) => format!("{}: {reason}", found.state),
            None => found.state.clone(),
        };
        UnchangedMailbox { email: found.email.clone(), because }
    }
}

impl EndedPause {
    pub(super) fn of(held: ActivePause) -> EndedPause {
        let ActivePause { scope, key, reason, until, user, .. } = held;
        EndedPause { scope, key, user, reason, until }
    }
}

impl ActivePause {
    fn holds(&self, found: &MailboxMatch) -> bool {
        let place = || format!("{}:{}", found.smtp_host, found.smtp_port);
        let is_place = || {
            self.key.eq_ignore_ascii_case(&place())
                || self.key.eq_ignore_ascii_case(&format!("{}/{}", place(), found.smtp_security))
        };
        let is_its = self.user_id.is_none_or(|user| user == found.user_id);
        is_its
            && match (self.scope.as_str(), self.user_id) {
                ("host", None) => self.key.eq_ignore_ascii_case(&found.smtp_host),
                ("host", Some(_)) => is_place(),
                _ => self.key == found.domain,
            }
    }

    /// Returns the name of the host, without its port, or the domain.
    fn name(&self) -> &str {
        match self.key.rsplit_once(':') {
            Some((name, _)) if self.scope == "host" && self.user_id.is_some() => name,
            _ => &self.key,
        }
    }
}
