//! Enrols the mailboxes of a CSV file: all of them or, with any fault, none.
//!
//! A known address, in any case, changes only in columns that are there and filled. A removed mailbox that is imported
//! again becomes active with its new password. A dry run does everything and rolls it back.

mod plan;
mod read;

use std::io::Read;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;
use thiserror::Error;

use self::plan::Plan;
use crate::{
    adapters::{
        postgres::{enrol, keyring},
        seal::Sealer,
    },
    domain::enrolment::{Fault, Row, Rules},
};

/// Rows in one statement.
const CHUNK: usize = 5_000;

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    pub new: usize,
    pub changed: usize,
    pub unchanged: usize,
    /// Addresses of users that did not exist.
    pub new_users: Vec<String>,
    /// What is obeyed but should be known.
    pub warnings: Vec<String>,
    pub dry_run: bool,
}

/// Why nothing was imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// Everything that has to be written differently, in the order of the file.
    #[error("nothing was imported: {}", listed(.0))]
    Faults(Vec<Fault>),
    #[error("nothing was imported: the database has no shards: run `warmup migrate`")]
    NotMigrated,
    #[error("nothing was imported: {0}")]
    Keyring(#[from] keyring::KeyringError),
    #[error("nothing was imported: the database said: {0}")]
    Database(#[from] sqlx::Error),
    #[error("nothing was imported: the file can't be read: {0}")]
    File(#[from] csv::Error),
}

fn listed(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    format!("{} fault{}{}", faults.len(), if faults.len() == 1 { "" } else { "s" }, lines.concat())
}

/// Imports `csv` in one transaction. Returns every fault at once, and then has changed nothing.
pub async fn import(
    pool: &PgPool,
    sealer: &Sealer,
    rules: &Rules,
    csv: impl Read,
    dry_run: bool,
    now: DateTime<Utc>,
) -> Result<ImportReport, ImportError> {
    let (rows, faults) = read::rows(csv)?;
    let mut transaction = pool.begin().await?;
    let shards = enrol::begin(&mut transaction).await?;
    if shards == 0 {
        return Err(ImportError::NotMigrated);
    }
    keyring::check_in(&mut transaction, sealer).await?;
    let keys: Vec<String> = rows.iter().map(Row::key).collect();
    let stored = enrol::stored(&mut transaction, &keys).await?;
    let profiles = plan::profiles(&rows, &stored, rules, faults).map_err(ImportError::Faults)?;
    let (users, new_users) = enrol::users(&mut transaction, &plan::users(&profiles)).await?;
    let fresh = profiles.iter().filter(|(row, _)| !stored.contains_key(&row.key())).count();
    let ids = enrol::draw_ids(&mut transaction, fresh).await?;
    let plan = Plan::of(profiles, stored, &users, ids, sealer);
    for chunk in plan.new.chunks(CHUNK) {
        enrol::insert(&mut transaction, chunk, shards, now).await?;
    }
    let mut active_again = Vec::new();
    for chunk in plan.changed.chunks(CHUNK) {
        active_again.extend(enrol::update(&mut transaction, chunk, now).await?);
    }
    for chunk in plan.events(&new_users, &users, &active_again).chunks(CHUNK) {
        enrol::record(&mut transaction, chunk, now).await?;
    }
    let report = ImportReport {
        new: plan.new.len(),
        changed: plan.changed.len(),
        unchanged: plan.unchanged,
        new_users,
        warnings: plan.warnings(rules),
        dry_run,
    };
    if dry_run {
        transaction.rollback().await?
    } else {
        transaction.commit().await?
    }
    Ok(report)
}
