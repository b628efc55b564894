//! The record of everything that lasts, in Postgres. Longer SQL stands in files of its own under `postgres/sql`.

mod classify;
pub mod counted;
pub mod domains;
mod durability;
mod duties;
pub mod enrol;
mod fence;
pub mod fleet;
pub mod keyring;
mod ledger;
pub mod legacy;
mod mailboxes;
pub mod migrate;
pub mod normalize;
mod orders;
pub mod plan_requests;
pub mod pool;
mod session;
pub mod standing;
pub mod templates;
pub mod tokens;
pub mod transaction;
pub mod users;
pub mod verification;
pub mod view;

pub use durability::durability_warnings;
pub use duties::PostgresDuties;
pub use fence::{Fenced, PostgresFence};
pub use ledger::PostgresLedger;
pub use mailboxes::PostgresMailboxes;
pub use orders::PostgresOrders;
