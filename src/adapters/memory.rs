//! The ports in memory, for the simulation and for tests: the same rules as the real ones, which one conformance suite
//! holds, driven by whatever clock they are given, with faults on demand.

mod bell;
pub mod caps;
mod clock;
mod duties;
mod fault;
pub mod leases;
mod ledger;
mod mailboxes;
mod mailer;
mod members;
pub mod world;

pub use bell::MemoryNotifier;
pub use caps::MemoryCaps;
pub use clock::VirtualClock;
pub use fault::{Fault, Faults};
pub use leases::MemoryLeases;
pub use mailer::{FaultRates, MemoryMailer};
pub use world::{MemoryDatabase, MemoryMailbox};
