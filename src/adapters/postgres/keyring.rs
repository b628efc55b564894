//! `check` verifies the master key with a sealed known value in the database. A wrong key is found at the start, and
//! not at the first password of each mailbox, so it disables no mailbox.

mod rotate;

use std::{io, time::Duration};

use sqlx::{PgConnection, PgPool};
use thiserror::Error;

pub use self::rotate::{RotateError, Rotated, rotate};
use super::transaction;
use crate::adapters::seal::{KeyId, SealError, Sealer};

/// A `KeyringError` states why the master key was not accepted.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// The database's passwords were sealed under another key.
    #[error(
        "WARMUP_MASTER_KEY is not this database's: its passwords are sealed under key {stored}, but the given key is \
         {given}; set the key that belongs to this database, or use another database. Nothing was changed"
    )]
    OtherKey { stored: String, given: KeyId },
    /// The check value of this key does not open.
    #[error(
        "the check value of master key {given} in table `keyring` was damaged ({fault}); restore that row from a backup"
    )]
    Damaged { given: KeyId, fault: SealError },
    /// The database did not answer.
    #[error("the keyring cannot be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// `Known` states whether the database already had the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The database had a check value of this key, and it opened.
    Before,
    /// The database had no key yet; this one is now its own.
    FromNow,
}

/// Checks that `sealer` works with the key of this database; a database without a key stores this one.
///
/// Returns `OtherKey` with both key ids if the database belongs to another key.
pub async fn check(pool: &PgPool, sealer: &Sealer) -> Result<Known, KeyringError> {
    let mut transaction = transaction::begin(pool).await?;
    let known = check_in(&mut transaction, sealer).await?;
    transaction.commit().await?;
    Ok(known)
}

/// Performs `check` within the caller's transaction.
pub async fn check_in(connection: &mut PgConnection, sealer: &Sealer) -> Result<Known, KeyringError> {
    if judge(&ring(connection).await?, sealer)? {
        return Ok(Known::Before);
    }
    // Two first starts may have different keys: the second must see the key of the first. Only first starts wait here.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('warmup keyring'))").execute(&mut *connection).await?;
    if judge(&ring(connection).await?, sealer)? {
        return Ok(Known::Before);
    }
    sqlx::query("INSERT INTO keyring (key_id, sealed) VALUES ($1, $2)")
        .bind(sealer.key_id().as_bytes())
        .bind(sealer.seal_check())
        .execute(connection)
        .await?;
    Ok(Known::FromNow)
}

/// The time limit of one read of the keyring by a periodic check.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Returns whether `key` still belongs to this database; false after a rotation to another key.
pub async fn holds(pool: &PgPool, key: KeyId) -> Result<bool, sqlx::Error> {
    let held = sqlx::query_scalar("SELECT EXISTS (SELECT FROM keyring WHERE key_id = $1)").bind(key.as_bytes());
    let silent = |_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(ANSWERS_WITHIN, held.fetch_one(pool)).await.unwrap_or_else(silent)
}

async fn ring(connection: &mut PgConnection) -> Result<Vec<(Vec<u8>, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as("SELECT key_id, sealed FROM keyring ORDER BY created_at").fetch_all(connection).await
}

/// Returns whether the key is in the `ring`; false only if the ring is empty.
fn judge(ring: &[(Vec<u8>, Vec<u8>)], sealer: &Sealer) -> Result<bool, KeyringError> {
    let given = sealer.key_id();
    if let Some((_, sealed)) = ring.iter().find(|(key_id, _)| key_id == given.as_bytes()) {
        sealer.open_check(sealed).map_err(|fault| KeyringError::Damaged { given, fault })?;
        return Ok(true);
    }
    if ring.is_empty() {
        return Ok(false);
    }
    let stored: Vec<String> = ring.iter().map(|(key_id, _)| hex(key_id)).collect();
    Err(KeyringError::OtherKey { stored: stored.join(", "), given })
}

fn hex(key_id: &[u8]) -> String {
    KeyId::from_bytes(key_id).map_or_else(|| "unreadable".to_owned(), |id| id.to_string())
}
