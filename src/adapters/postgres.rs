//! The Postgres adapters store everything that must last. Longer SQL statements are files under `postgres/sql`.

mod classify;
pub mod counters;
pub mod domains;
mod durability;
pub mod enrol;
mod fence;
pub mod fleet;
pub mod keyring;
mod ledger;
pub mod legacy;
pub mod mailbox_state;
mod mailboxes;
mod maintenance;
pub mod migrate;
pub mod normalize;
mod orders;
pub mod plan_requests;
pub mod pool;
mod session;
pub mod templates;
pub mod tokens;
pub mod transaction;
pub mod users;
pub mod verification;

pub use durability::durability_warnings;
pub use fence::{Fenced, PostgresFence};
pub use ledger::PostgresLedger;
pub use mailboxes::PostgresMailboxes;
pub use maintenance::PostgresDuties;
pub use orders::PostgresOrders;
