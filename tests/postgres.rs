//! What needs a real Postgres. Each test has a database of its own.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "postgres/enrol.rs"]
mod enrol;
#[path = "postgres/gate.rs"]
mod gate;
#[path = "postgres/ledger.rs"]
mod ledger;
