//! The adapters in memory implement the ports for the simulation and for tests; production never executes them.
//!
//! A conformance suite holds these adapters and the production adapters to one contract. They run on the clock that the
//! caller passes, and inject faults on demand (`fault.rs`).

pub mod caps;
pub mod caps_model;
mod clock;
pub mod database;
mod duties;
mod fault;
pub mod leases;
mod ledger;
mod mailboxes;
mod mailer;
mod members;
mod notifier;

pub use caps::MemoryCaps;
pub use clock::VirtualClock;
pub use database::{MemoryDatabase, MemoryMailbox};
pub use fault::{Fault, Faults};
pub use leases::MemoryLeases;
pub use mailer::{FaultRates, MemoryMailer};
pub use notifier::MemoryNotifier;
