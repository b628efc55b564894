//! What hangs, comes late or goes away, under the real binary: a stop is never held up, nothing is given back that was
//! sent, and nothing new starts while what is finished can't be written.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "faults/drain.rs"]
mod drain;
#[path = "faults/fair_lanes.rs"]
mod fair_lanes;
#[path = "faults/host.rs"]
mod host;
#[path = "faults/ledger.rs"]
mod ledger;
#[path = "faults/outage.rs"]
mod outage;
#[path = "faults/ownership.rs"]
mod ownership;
#[path = "faults/stage.rs"]
mod stage;
#[path = "faults/sweep.rs"]
mod sweep;
