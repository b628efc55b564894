//! `rotate` replaces the master key: it seals every password and the keyring's check value again, in one transaction.
//!
//! ```text
//! lock enrolment ─▶ is the old key this database's? ─▶ each password: open under the old, seal under the new
//!     any password does not open: nothing is changed, all such mailboxes are named
//!     otherwise: the keyring holds only the new key, an event, commit
//! ```
//!
//! A password that an earlier release sealed without endpoints is bound to the endpoints of its row
//! (`adapters/seal.rs`).
//!
//! A process with the old key can open nothing afterwards and disables no mailbox. A worker notices the rotation within
//! a heartbeat and shuts down in order (`app/key_rotation_watch.rs`); the keyring check refuses a command and a start.
//! Imports wait for the enrolment lock and then fail that check, so none can store a password under the old key.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgPool};
use thiserror::Error;

use super::{KeyringError, check_in};
use crate::{
    adapters::{
        postgres::{
            enrol::{self, Event},
            transaction,
        },
        seal::{KeyId, Opened, Sealer},
    },
    domain::{id::MailboxId, mailbox::Endpoint},
};

/// The number of passwords per statement.
const CHUNK: i64 = 2_000;
/// The number of mailboxes that an error names before it counts the rest.
const NAMED: usize = 10;

/// A `RotateError` states why the key was not rotated.
#[derive(Debug, Error)]
pub enum RotateError {
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The old and the new key are the same.
    #[error("the new key is the one that the database has already; nothing was changed")]
    SameKey,
    /// Some passwords do not open under the old key.
    #[error(
        "the passwords of {} do not open under the present key: give them anew (`warmup mailbox set ADDRESS --password`) \
         or remove those mailboxes, then rotate; nothing was changed", named(.0)
    )]
    Unopened(Vec<String>),
    #[error("the key was not rotated, nothing was changed: {0}")]
    Database(#[from] sqlx::Error),
    /// The answer to the commit was lost.
    #[error(
        "the connection was lost while the new key was written, so either key may be the database's now: keep both, and \
         let `warmup mailbox test` with the new one tell; it changes nothing ({0})"
    )]
    Unknown(sqlx::Error),
}

/// `Rotated` reports the result of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    pub passwords: usize,
    pub from: KeyId,
    pub to: KeyId,
}

/// Seals everything that is sealed under `old` under `new` instead: all of it, or nothing.
///
/// Returns `Unknown` only if it is unclear whether the commit succeeded.
pub async fn rotate(pool: &PgPool, old: &Sealer, new: &Sealer, now: DateTime<Utc>) -> Result<Rotated, RotateError> {
    if old.key_id() == new.key_id() {
        return Err(RotateError::SameKey);
    }
    let mut transaction = transaction::begin(pool).await?;
    enrol::begin(&mut transaction).await?;
    check_in(&mut transaction, old).await?;
    let passwords = reseal(&mut transaction, old, new).await?;
    sqlx::query("DELETE FROM keyring").execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO keyring (key_id, sealed) VALUES ($1, $2)")
        .bind(new.key_id().as_bytes())
        .bind(new.seal_check())
        .execute(&mut *transaction)
        .await?;
    let detail = format!("from {} to {}, {passwords} passwords", old.key_id(), new.key_id());
    let event = Event { kind: "key-rotated", mailbox: None, user: None, reason: "operator".to_owned(), detail };
    enrol::record(&mut transaction, &[event], now).await?;
    transaction.commit().await.map_err(RotateError::Unknown)?;
    Ok(Rotated { passwords, from: old.key_id(), to: new.key_id() })
}

/// Seals all passwords again, in the order of their ids, which is the lock order of mailboxes.
async fn reseal(connection: &mut PgConnection, old: &Sealer, new: &Sealer) -> Result<usize, RotateError> {
    const READ: &str = "
        SELECT id, email, sealed_password, smtp_host, smtp_port, smtp_security, imap_host, imap_port, imap_security
        FROM mailboxes
        WHERE sealed_password IS NOT NULL AND id > $1 ORDER BY id LIMIT $2 FOR UPDATE";
    const WRITE: &str = "
        UPDATE mailboxes m SET sealed_password = new.sealed
        FROM unnest($1::bigint[], $2::bytea[]) AS new (id, sealed) WHERE m.id = new.id";
    let (mut last, mut done, mut unopened) = (i64::MIN, 0, Vec::new());
    loop {
        let rows: Vec<Sealed> = sqlx::query_as(READ).bind(last).bind(CHUNK).fetch_all(&mut *connection).await?;
        let Some(row) = rows.last() else { break };
        last = row.id;
        let (mut ids, mut sealed) = (Vec::new(), Vec::new());
        for row in rows {
            match old.inspect(MailboxId(row.id), &row.sealed_password) {
                Ok(opened) => sealed.push(row.under(new, opened)?),
                Err(_) => {
                    unopened.push(row.email);
                    continue;
                }
            }
            ids.push(row.id);
        }
        done += ids.len();
        sqlx::query(WRITE).bind(ids).bind(sealed).execute(&mut *connection).await?;
    }
    if unopened.is_empty() { Ok(done) } else { Err(RotateError::Unopened(unopened)) }
}

/// A `Sealed` is a sealed password with the endpoints of its mailbox's row.
#[derive(FromRow)]
struct Sealed {
    id: i64,
    email: String,
    sealed_password: Vec<u8>,
    smtp_host: String,
    smtp_port: i32,
    smtp_security: String,
    imap_host: Option<String>,
    imap_port: Option<i32>,
    imap_security: Option<String>,
}

impl Sealed {
    /// Seals the password under `new` for its sealed endpoints. The row's endpoints count only for a password of an
    /// earlier release, which has none sealed.
    fn under(&self, new: &Sealer, opened: Opened) -> Result<Vec<u8>, sqlx::Error> {
        let places = opened.endpoints.map_or_else(|| self.places(), Ok)?;
        Ok(new.seal(MailboxId(self.id), &places, &opened.password))
    }

    fn places(&self) -> Result<Vec<Endpoint>, sqlx::Error> {
        let smtp = enrol::endpoint(self.smtp_host.clone(), self.smtp_port, &self.smtp_security)?;
        Ok(match (&self.imap_host, self.imap_port, &self.imap_security) {
            (Some(host), Some(port), Some(security)) => vec![smtp, enrol::endpoint(host.clone(), port, security)?],
            _ => vec![smtp],
        })
    }
}

fn named(emails: &[String]) -> String {
    let shown = emails.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match emails.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
