//! The ports in memory, for the simulation and for tests: the same rules as the real ones, which one conformance suite
//! holds, driven by whatever clock they are given, with faults on demand.

pub mod caps;
mod fault;
pub mod leases;

pub use caps::MemoryCaps;
pub use fault::{Fault, Faults};
pub use leases::MemoryLeases;
