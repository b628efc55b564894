//! This module enrols and changes mailboxes, from a CSV file or from the flags of `mailbox add` and `set`, in
//! one transaction.
//!
//! ```text
//! read all lines ─▶ lock enrolment ─▶ check the master key ─▶ read stored mailboxes ─▶ resolve every row
//!     any error anywhere: nothing is written, all errors are reported
//!     dry run:            the report, and the transaction is rolled back
//!     otherwise:          users, new ids, sealed passwords, rows in chunks, an event for each change, a request to
//!                         plan them at once, commit
//! ```
//!
//! - A known address (any case) changes only in columns that are present and filled.
//! - A password is compared with the opened stored password. It is sealed again only if it differs or if its
//!   endpoints change.
//! - A stored password that is not repeated goes to no other host, and to no host unencrypted: that is an error.
//! - A *removed* address is enrolled again in its old row and becomes active with the new password. It keeps its
//!   id, log, counters, settings and ramp, so a return on the same day can't send a second quota.
//! - A mailbox that was *disabled because of its access* becomes active again if the file changes its login. Any
//!   other state stays.
//! - Enrolment by an admin verifies a mailbox, so a known unverified mailbox counts as changed, whatever else
//!   its row contains.

mod command;
mod file;
mod owner;
mod plan;
mod report;
mod stored_password;

use std::{collections::HashMap, io::Read};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use tokio::runtime::{Handle, RuntimeFlavor};

pub(super) use self::stored_password::StoredPassword;
pub use self::{
    command::EnrolmentCommand,
    owner::Owner,
    report::{Changed, ImportReport},
};
use self::{
    file::File,
    plan::{Plan, Planned},
    report::Scope,
};
use crate::{
    adapters::{
        postgres::{
            enrol::{self, Event, MailboxWrite, StoredMailbox},
            keyring::{self, KeyringError},
            plan_requests, transaction,
        },
        seal::Sealer,
    },
    config::Settings,
    domain::{
        enrolment::{EnrolmentError, Faults, Row, Rules},
        id::{MailboxId, UserId},
    },
    reporting::{snapshot, sql},
};

/// The number of rows in one statement: large enough to make round trips negligible, small enough to show
/// progress.
const CHUNK: usize = 2_000;

impl From<&Settings> for Rules {
    fn from(settings: &Settings) -> Rules {
        Rules {
            timezone: settings.timezone,
            daily_max: settings.min_daily_quota,
            allow_plaintext: settings.allow_plaintext,
            allow_private_hosts: settings.allow_private_hosts,
        }
    }
}

/// The options of an import.
pub struct Options<'a> {
    /// The time of the import by the day clock.
    pub now: DateTime<Utc>,
    /// True to report without writing.
    pub dry_run: bool,
    /// The callback that receives the number of written mailboxes and their total.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// The reasons why nothing was imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file has errors: the first of them, and their total.
    #[error("{}", report::told(.0))]
    Faults(Faults),
    /// The file could not be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// The database was never migrated.
    #[error("the database has no shards yet: run `warmup migrate`")]
    NotMigrated,
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error("the database did not take the mailboxes, nothing was imported: {0}")]
    Database(#[from] sqlx::Error),
}

/// Enrols or updates the mailboxes of a CSV file.
///
/// Returns `Faults` with every error of the file if there is any. After any error nothing was changed.
pub async fn import(
    pool: &PgPool,
    sealer: &Sealer,
    rules: &Rules,
    csv: impl Read,
    options: &Options<'_>,
) -> Result<ImportReport, ImportError> {
    import_for(pool, sealer, rules, csv, None, options).await
}

/// Imports like [`import()`] on behalf of `owner`, who must own all of the mailboxes.
pub async fn import_for(
    pool: &PgPool,
    sealer: &Sealer,
    rules: &Rules,
    csv: impl Read,
    owner: Option<&Owner>,
    options: &Options<'_>,
) -> Result<ImportReport, ImportError> {
    let file = off_runtime(|| File::read(csv)).map_err(ImportError::Unreadable)?;
    write_in(pool, sealer, rules, file, (EnrolmentCommand::Import, owner), options).await
}

/// Enrols or changes the mailboxes that the flags of a command describe, by the rules of a file import. `faults`
/// holds the errors that the caller found in the flags; the line of an error is the line of its row.
pub async fn enrol(
    pool: &PgPool,
    sealer: &Sealer,
    rules: &Rules,
    (rows, faults): (Vec<Row>, Vec<EnrolmentError>),
    by: EnrolmentCommand,
    options: &Options<'_>,
) -> Result<ImportReport, ImportError> {
    enrol_for(pool, sealer, rules, (rows, faults), by, None, options).await
}

/// Enrols like [`enrol()`] on behalf of `owner`, who must own all of the mailboxes.
pub async fn enrol_for(
    pool: &PgPool,
    sealer: &Sealer,
    rules: &Rules,
    (rows, faults): (Vec<Row>, Vec<EnrolmentError>),
    by: EnrolmentCommand,
    owner: Option<&Owner>,
    options: &Options<'_>,
) -> Result<ImportReport, ImportError> {
    write_in(pool, sealer, rules, File { rows, faults: faults.into() }, (by, owner), options).await
}

async fn write_in(
    pool: &PgPool,
    sealer: &Sealer,
    rules: &Rules,
    mut file: File,
    (by, owner): (EnrolmentCommand, Option<&Owner>),
    options: &Options<'_>,
) -> Result<ImportReport, ImportError> {
    let mut transaction = transaction::begin(pool).await?;
    let shards = enrol::begin(&mut transaction).await?;
    if shards == 0 {
        return Err(ImportError::NotMigrated);
    }
    keyring::check_in(&mut transaction, sealer).await?;
    let mut stored = stored(&mut transaction, &file).await?;
    if let Some(owner) = owner {
        owner.confine(&mut file, &stored);
    }
    let verified_by = verified_by(by, owner);
    let plan =
        off_runtime(|| Plan::of(file, &mut stored, rules, sealer, (by, verified_by))).map_err(ImportError::Faults)?;
    if let Some(owner) = owner {
        let enrolled = enrol::enrolled_of(&mut transaction, owner.id).await?;
        owner.limit(&plan, enrolled).map_err(ImportError::Faults)?;
    }
    // A user without the admin role sees their own mailboxes only.
    let (members, scope) = match owner {
        None => (sql::members(&mut transaction).await?, Scope::All),
        Some(owner) => (sql::members_of(&mut transaction, owner.id).await?, Scope::Own),
    };
    let mut report = report::report(&plan, members, scope, rules, options.dry_run);
    if !options.dry_run {
        report.users_created = write(&mut transaction, plan, sealer, (shards, verified_by), by, options).await?;
        transaction.commit().await?;
        enrol::analyze(pool, report.new.len() + report.changed.len()).await;
        snapshot::mark(pool).await;
    }
    Ok(report)
}

/// Returns the verification of an enrolment: an admin verifies by enrolling, and a changed setting verifies
/// nothing.
fn verified_by(by: EnrolmentCommand, owner: Option<&Owner>) -> Option<&'static str> {
    (owner.is_none() && by != EnrolmentCommand::Set).then_some("admin")
}

/// Runs `work`, which may take seconds, and lets the other tasks of this thread move to another thread. A
/// runtime with a single thread exists only in tests; there `work` blocks.
fn off_runtime<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Checks a CSV file without a database, as if no mailbox were stored.
pub fn check_first(rules: &Rules, csv: impl Read) -> Result<(), ImportError> {
    let file = File::read(csv).map_err(ImportError::Unreadable)?;
    // No stored password is opened, so any key fits.
    let sealer = Sealer::new(&rand::random());
    let by = EnrolmentCommand::Import;
    let plan = Plan::of(file, &mut HashMap::new(), rules, &sealer, (by, verified_by(by, None)));
    plan.map(drop).map_err(ImportError::Faults)
}

async fn stored(connection: &mut PgConnection, file: &File) -> Result<HashMap<String, StoredMailbox>, sqlx::Error> {
    let keys: Vec<String> = file.rows.iter().map(|row| row.key()).collect();
    let mut stored = HashMap::new();
    for chunk in keys.chunks(CHUNK) {
        stored.extend(enrol::stored(connection, chunk).await?);
    }
    Ok(stored)
}

/// Writes the plan and returns the addresses of the users that it created.
async fn write(
    connection: &mut PgConnection,
    plan: Plan,
    sealer: &Sealer,
    (shards, verified_by): (u16, Option<&'static str>),
    by: EnrolmentCommand,
    options: &Options<'_>,
) -> Result<Vec<String>, sqlx::Error> {
    let (users, created) = users(connection, &plan, by, options.now).await?;
    let total = plan.new.len() + plan.changed.len();
    let mut done = 0;
    let new_ids = enrol::draw_ids(connection, plan.new.len()).await?;
    let mut new: Vec<_> = new_ids.iter().copied().zip(&plan.new).collect();
    while !new.is_empty() {
        let rest = new.split_off(CHUNK.min(new.len()));
        let entries: Vec<MailboxWrite> =
            new.iter().map(|(id, planned)| planned.entry(*id, &users, sealer, verified_by)).collect();
        let events: Vec<Event> =
            entries.iter().map(|entry| event("mailbox-enrolled", entry, by, String::new())).collect();
        // The events precede the rows, which add the events of their verification.
        enrol::record(connection, &events, options.now).await?;
        enrol::insert(connection, &entries, shards, options.now).await?;
        done += entries.len();
        (options.progress)(done, total);
        new = rest;
    }
    for chunk in plan.changed.chunks(CHUNK) {
        change(connection, chunk, (&users, verified_by), sealer, by, options.now).await?;
        done += chunk.len();
        (options.progress)(done, total);
    }
    let changed = plan.changed.iter().map(|(stored, _)| stored.id);
    let written: Vec<MailboxId> = new_ids.into_iter().chain(changed).collect();
    plan_requests::request(connection, &written).await?;
    Ok(created)
}

async fn users(
    connection: &mut PgConnection,
    plan: &Plan,
    by: EnrolmentCommand,
    now: DateTime<Utc>,
) -> Result<(HashMap<String, UserId>, Vec<String>), sqlx::Error> {
    let (users, created) = enrol::users(connection, &plan.users()).await?;
    let events: Vec<Event> = created
        .iter()
        .map(|email| Event {
            kind: "user-created",
            mailbox: None,
            user: users.get(&email.to_lowercase()).copied(),
            reason: by.as_str().to_owned(),
            detail: email.clone(),
        })
        .collect();
    enrol::record(connection, &events, now).await?;
    Ok((users, created))
}

async fn change(
    connection: &mut PgConnection,
    chunk: &[(StoredMailbox, Planned)],
    (users, verified_by): (&HashMap<String, UserId>, Option<&'static str>),
    sealer: &Sealer,
    by: EnrolmentCommand,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let entries: Vec<MailboxWrite> =
        chunk.iter().map(|(stored, planned)| planned.entry(stored.id, users, sealer, verified_by)).collect();
    let reactivated = enrol::update(connection, &entries, now).await?;
    let mut events = Vec::new();
    for (entry, (stored, planned)) in entries.iter().zip(chunk) {
        events.push(event("mailbox-changed", entry, by, planned.columns.join(", ")));
        if reactivated.binary_search(&entry.id).is_ok() {
            let was = stored.reason.as_deref().unwrap_or_default();
            events.push(event("mailbox-reactivated", entry, by, format!("was {}: {was}", stored.state)));
        }
    }
    enrol::record(connection, &events, now).await
}

fn event(kind: &'static str, entry: &MailboxWrite, by: EnrolmentCommand, detail: String) -> Event {
    Event { kind, mailbox: Some(entry.id), user: Some(entry.user), reason: by.as_str().to_owned(), detail }
}
