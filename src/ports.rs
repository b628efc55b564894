//! Layer 1: what the worker needs of the world, as traits. Each has two implementations that pass one conformance
//! suite: the real one, and a memory one for the simulation. Errors say what the caller can *do*.

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
