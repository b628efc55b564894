//! Moving in from the older system: its users, mailboxes, log and texts, read from its database and written to ours.
//!
//! ```text
//! one snapshot ─▶ users ─▶ mailboxes (as an import of a file does it) ─▶ places on their ramps ─▶ log ─▶ templates
//!      │
//!      └── a row that can't be read is left out and told with its reason; the others are copied
//! ```
//!
//! The older database is only read. Each step is a transaction of its own (of the log, each two thousand rows) and finds
//! what is here already: so it may be repeated, also after it was broken off, and a second run changes nothing. What
//! this system has counted itself stays as it is. docs/LEGACY.md says what becomes of each column.

mod accounts;
mod past;
mod report;
mod texts;
mod users;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use thiserror::Error;

pub use self::report::{LeftOut, LegacyReport, Logs, Texts, Unreadable, Users};
use super::import::{EnrolmentCommand, ImportError, ImportReport, Options as Enrolling, enrol};
use crate::{
    adapters::{
        postgres::{
            enrol::{self as stored, Event},
            legacy::{ACCOUNTS, LOGS, Old, REPLY_TEMPLATES, SEND_TEMPLATES, Table, USERS, past as written},
            transaction,
        },
        seal::Sealer,
    },
    domain::{
        enrolment::Rules,
        id::{MailboxId, UserId},
        maintenance::Retention,
    },
};

/// How to move in.
pub struct Options<'a> {
    /// Day clock.
    pub now: DateTime<Utc>,
    /// Report only.
    pub dry_run: bool,
    /// How long a log is kept: what is older is not copied.
    pub retention: Retention,
    /// Told now and then how many rows of how many of the log are read.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// Why nothing more was copied. What was copied before stays, and is found by the next run.
#[derive(Debug, Error)]
pub enum LegacyError {
    #[error("the database to move in from is one of this system already: name the older system's")]
    Ours,
    /// All that is missing.
    #[error("this is no database of the older system: {}", .0.join("; "))]
    Foreign(Vec<String>),
    #[error("the older system's database did not answer: {0}")]
    Old(#[source] sqlx::Error),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("the database did not take all of it, run the import again: {0}")]
    Database(#[from] sqlx::Error),
}

/// Copies what the database behind `source` holds. A dry run reads and judges all of it and writes nothing.
pub async fn import(
    pool: &PgPool,
    source: &PgPool,
    sealer: &Sealer,
    rules: &Rules,
    options: &Options<'_>,
) -> Result<LegacyReport, LegacyError> {
    let mut old = Old::open(source).await.map_err(LegacyError::Old)?;
    let mut report = LegacyReport { dry_run: options.dry_run, ..LegacyReport::default() };
    report.warnings = check(&mut old).await?;
    let rows = old.rows(&USERS).await.map_err(LegacyError::Old)?;
    let owners = users::copy(pool, &rows, options, &mut report).await?;
    let rows = old.rows(&ACCOUNTS).await.map_err(LegacyError::Old)?;
    let accounts = accounts::read(&rows, &owners, rules, options.now, &mut report.unreadable);
    let accounts = accounts.resolve(pool, sealer, rules, &mut report.unreadable).await?;
    let enrolling = Enrolling { now: options.now, dry_run: options.dry_run, progress: &|_, _| {} };
    report.mailboxes =
        enrol(pool, sealer, rules, (accounts.rows, Vec::new()), EnrolmentCommand::Import, &enrolling).await?;
    report.ramps = ramps(pool, &accounts.ramps, &report.mailboxes, options).await?;
    report.logs = past::copy(pool, &mut old, &accounts.addresses, rules, options, &mut report).await?;
    report.templates = texts::copy(pool, &mut old, options, &mut report).await?;
    Ok(report)
}

/// Returns what is not there and can be done without.
///
/// Returns `Foreign` with all that can't.
async fn check(old: &mut Old) -> Result<Vec<String>, LegacyError> {
    if old.is_ours().await.map_err(LegacyError::Old)? {
        return Err(LegacyError::Ours);
    }
    let (mut missing, mut faults) = (Vec::new(), Vec::new());
    for table in [&USERS, &ACCOUNTS, &LOGS, &SEND_TEMPLATES, &REPLY_TEMPLATES] {
        let found = old.columns(table).await.map_err(LegacyError::Old)?;
        let told = if table.name == ACCOUNTS.name { &mut faults } else { &mut missing };
        told.extend(lacks(table, &found));
    }
    if faults.is_empty() { Ok(missing) } else { Err(LegacyError::Foreign(faults)) }
}

/// Says what of `table` is missing that can't be done without.
fn lacks(table: &Table, found: &[String]) -> Option<String> {
    if found.is_empty() {
        return Some(format!("there is no table {}", table.name));
    }
    let lacks = |wanted: &&&str| !found.iter().any(|name| name == **wanted);
    let columns: Vec<&str> = table.required.iter().filter(lacks).copied().collect();
    (!columns.is_empty()).then(|| format!("table {} has no column {}", table.name, columns.join(", ")))
}

/// Puts mailboxes where they stood on their ramps. Returns how many, or, in a dry run, would be.
async fn ramps(
    pool: &PgPool,
    ramps: &HashMap<String, u16>,
    enrolled: &ImportReport,
    options: &Options<'_>,
) -> Result<usize, LegacyError> {
    let known: Vec<(String, u16)> = ramps.iter().map(|(email, grown)| (email.clone(), *grown)).collect();
    let mut transaction = transaction::begin(pool).await?;
    let grown = written::grow(&mut transaction, &known).await?;
    if options.dry_run {
        let new = enrolled.new.iter().filter_map(|email| ramps.get(&email.to_ascii_lowercase()));
        return Ok(grown.len() + new.filter(|grown| **grown > 0).count());
    }
    let event = |(mailbox, user, days): &written::Grown| Event {
        kind: "mailbox-changed",
        mailbox: Some(MailboxId(*mailbox)),
        user: Some(UserId(*user)),
        reason: EnrolmentCommand::Import.as_str().to_owned(),
        detail: format!("grown {days}, as in the older system"),
    };
    stored::record(&mut transaction, &grown.iter().map(event).collect::<Vec<_>>(), options.now).await?;
    transaction.commit().await?;
    Ok(grown.len())
}
