//! Whole days and whole processes, through everything that is real: Postgres, Redis, Postfix, Dovecot, the binary.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "fleet/caps.rs"]
mod caps;
#[path = "fleet/counts.rs"]
mod counts;
#[path = "fleet/gate.rs"]
mod gate;
#[path = "fleet/host.rs"]
mod host;
#[path = "fleet/kill.rs"]
mod kill;
#[path = "fleet/outage.rs"]
mod outage;
#[path = "fleet/process.rs"]
mod process;
