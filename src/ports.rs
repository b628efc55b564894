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

pub use caps::{CapKind, CapRequest, Caps, Connection, ConnectionId, Grant};
pub use clock::Clock;
pub use duties::{MaintenanceStore, PruneReport};
pub use entropy::Entropy;
pub use error::PortError;
pub use leases::{LeaseKey, Leases};
pub use ledger::{
    Flight, Heartbeat, Ledger, LedgerPulse, LoggedMail, Participant, PartnerOption, Refusal, Reservation, ReserveBatch,
    ReserveRequest, Settlement, StateChange, SweepReport, SweepRequest,
};
pub use mailboxes::{PlanningStore, Roster};
pub use mailer::{Mailer, PasswordOpener, SendPermit, SendReport, Submission, Thread};
pub use members::{HeartbeatReply, Member, MemberStatus, MembershipStore};
pub use orders::{Bell, FleetControl, Notification};
