//! The caps and leases against a real Redis that each test starts, damages and throws away; and the same conformance
//! suite against their counterparts in memory.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "redis/bell.rs"]
mod bell;
#[path = "redis/cluster.rs"]
mod cluster;
#[path = "redis/conformance.rs"]
mod conformance;
#[path = "redis/differential.rs"]
mod differential;
#[path = "redis/failures.rs"]
mod failures;
#[path = "redis/proxy.rs"]
mod proxy;
#[path = "redis/rights.rs"]
mod rights;
#[path = "redis/rolling_windows.rs"]
mod rolling_windows;
#[path = "redis/scripts.rs"]
mod scripts;
#[path = "redis/server_clock.rs"]
mod server_clock;
#[path = "redis/strangers.rs"]
mod strangers;
#[path = "redis/tls.rs"]
mod tls;
