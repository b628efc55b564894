//! The record of everything that lasts, in Postgres. SQL stands in files of its own under `postgres/sql`.

mod classify;
mod ledger;
mod mailboxes;
mod session;

pub use ledger::PostgresLedger;
pub use mailboxes::PostgresMailboxes;
