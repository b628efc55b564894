//! This module imports from the older system: it copies users, mailboxes, log and templates from that system's
//! database.
//!
//! ```text
//! one snapshot ─▶ users ─▶ mailboxes (like a file import) ─▶ positions on their ramps ─▶ log ─▶ templates
//!      │
//!      └── a row that can't be read is skipped and reported with its reason; the others are copied
//! ```
//!
//! The module only reads the older database. Each step is its own transaction (for the log, every two thousand
//! rows) and skips rows that are already copied. So an import may be repeated, also after an interruption, and a
//! second run changes nothing. Counters of this system stay as they are. docs/LEGACY.md describes the
//! destination of each column.

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

/// The options of an import from the older system.
pub struct Options<'a> {
    /// The time of the import by the day clock.
    pub now: DateTime<Utc>,
    /// True to report without writing.
    pub dry_run: bool,
    /// The retention of the log: older rows are not copied.
    pub retention: Retention,
    /// The callback that receives the number of log rows that were read, and their total.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// The reasons why an import stopped. Rows that were copied before stay, and the next run finds them.
#[derive(Debug, Error)]
pub enum LegacyError {
    #[error("the database to move in from is one of this system already: name the older system's")]
    Ours,
    /// The database lacks tables or columns: all that are missing.
    #[error("this is no database of the older system: {}", .0.join("; "))]
    Foreign(Vec<String>),
    #[error("the older system's database did not answer: {0}")]
    Old(#[source] sqlx::Error),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("the database did not take all of it, run the import again: {0}")]
    Database(#[from] sqlx::Error),
}

/// Copies the content of the database behind `source`. A dry run reads and checks everything and writes nothing.
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

/// Returns warnings about missing tables and columns that the import can do without.
///
/// Returns `Foreign` with all missing ones that it needs.
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

/// Returns the required columns of `table` that are missing, or that the table itself is missing, as a sentence.
fn lacks(table: &Table, found: &[String]) -> Option<String> {
    if found.is_empty() {
        return Some(format!("there is no table {}", table.name));
    }
    let lacks = |wanted: &&&str| !found.iter().any(|name| name == **wanted);
    let columns: Vec<&str> = table.required.iter().filter(lacks).copied().collect();
    (!columns.is_empty()).then(|| format!("table {} has no column {}", table.name, columns.join(", ")))
}

/// Moves mailboxes to their positions on their ramps. Returns the number of moved mailboxes; a dry run returns
/// the number that it would move.
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
