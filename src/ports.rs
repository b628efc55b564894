//! The ports: one trait for each service that the worker needs (layer 1).
//!
//! Each port has two real implementations: a production adapter, and one in memory for the simulation. A conformance
//! suite tests both. The errors of a port state what the caller can do (`error.rs`).

pub mod caps;
pub mod clock;
pub mod entropy;
pub mod error;
pub mod fleet_control;
pub mod leases;
pub mod ledger;
pub mod mailer;
pub mod maintenance;
pub mod membership;
pub mod planning_store;

pub use caps::{CapKind, CapRequest, Caps, Connection, ConnectionId, Grant};
pub use clock::Clock;
pub use entropy::Entropy;
pub use error::PortError;
pub use fleet_control::{Bell, FleetControl, Notification};
pub use leases::{LeaseKey, Leases};
pub use ledger::{
    Flight, Heartbeat, Ledger, LedgerPulse, LoggedMail, Participant, PartnerOption, Refusal, Reservation, ReserveBatch,
    ReserveRequest, Settlement, StateChange, SweepReport, SweepRequest,
};
pub use mailer::{Mailer, PasswordOpener, SendPermit, SendReport, Submission, Thread};
pub use maintenance::{MaintenanceStore, PruneReport};
pub use membership::{HeartbeatReply, Member, MemberStatus, MembershipStore};
pub use planning_store::{PlanningStore, Roster};
