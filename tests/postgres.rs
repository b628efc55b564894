//! What needs a real Postgres. Each test has a database of its own.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "postgres/dropped.rs"]
mod dropped;
#[path = "postgres/duties.rs"]
mod duties;
#[path = "postgres/effects.rs"]
mod effects;
#[path = "postgres/enrol.rs"]
mod enrol;
#[path = "postgres/fence.rs"]
mod fence;
#[path = "postgres/gate.rs"]
mod gate;
#[path = "postgres/ledger.rs"]
mod ledger;
#[path = "postgres/legacy.rs"]
mod legacy;
#[path = "postgres/locks.rs"]
mod locks;
#[path = "postgres/logs.rs"]
mod logs;
#[path = "postgres/never_analysed.rs"]
mod never_analysed;
#[path = "postgres/normalize.rs"]
mod normalize;
#[path = "postgres/outages.rs"]
mod outages;
#[path = "postgres/plans.rs"]
mod plans;
#[path = "postgres/poison.rs"]
mod poison;
#[path = "postgres/racing.rs"]
mod racing;
#[path = "postgres/retention.rs"]
mod retention;
#[path = "postgres/sessions.rs"]
mod sessions;
#[path = "postgres/turning.rs"]
mod turning;
