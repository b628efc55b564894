//! Floor 1: what the worker needs of the world, as traits. Each has two implementations that pass one conformance
//! suite: the real one, and a memory one for the simulation. Errors say what the caller can *do*.

pub mod caps;
pub mod clock;
pub mod duties;
pub mod entropy;
pub mod error;
pub mod leases;
pub mod ledger;
pub mod mailboxes;
pub mod mailer;
pub mod members;
pub mod orders;

pub use caps::{CapAsk, CapKind, Caps, Connection, Grant, Slot};
pub use clock::Clock;
pub use duties::{Duties, Retired};
pub use entropy::Entropy;
pub use error::PortError;
pub use leases::{LeaseKey, Leases};
pub use ledger::{
    Ask, Choice, Flight, Heartbeat, Ledger, LedgerPulse, LoggedMail, Party, Refusal, Reservation, ReserveBatch,
    Settlement, StateChange, Sweep, Swept,
};
pub use mailboxes::{Mailboxes, Roster};
pub use mailer::{Delivery, Gate, Mailer, Outgoing, PasswordOpener, Thread};
pub use members::{Member, Members, Pulse, Status};
pub use orders::{Bell, Orders, Ring};
