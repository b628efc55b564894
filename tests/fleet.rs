//! Whole days and dying workers, over real services.
#![cfg(test)]

#[path = "fleet/kill.rs"]
mod kill;
