//! Whole days, dying workers and whole processes, through everything that is real: Postgres, Redis, Postfix, Dovecot,
//! the binary.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "fleet/canary.rs"]
mod canary;
#[path = "fleet/days.rs"]
mod days;
#[path = "fleet/kill.rs"]
mod kill;
#[path = "fleet/postfix.rs"]
mod postfix;
#[path = "fleet/refusals.rs"]
mod refusals;
#[path = "fleet/run.rs"]
mod run;
