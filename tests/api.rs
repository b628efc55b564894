//! The API as a client sees it, over real Postgres and Redis. Each test has servers and an address of its own, and a clock
//! that stands still, so that every answer is exact.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "api/caps.rs"]
mod caps;
#[path = "api/client.rs"]
mod client;
#[path = "api/dashboard.rs"]
mod dashboard;
#[path = "api/directory.rs"]
mod directory;
#[path = "api/fleet.rs"]
mod fleet;
#[path = "api/limits.rs"]
mod limits;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/pauses.rs"]
mod pauses;
#[path = "api/pods.rs"]
mod pods;
#[path = "api/scrape.rs"]
mod scrape;
#[path = "api/shares.rs"]
mod shares;
#[path = "api/stage.rs"]
mod stage;
#[path = "api/statements.rs"]
mod statements;
#[path = "api/stream.rs"]
mod stream;
#[path = "api/tokens.rs"]
mod tokens;
#[path = "api/verification.rs"]
mod verification;
#[path = "api/verified.rs"]
mod verified;
#[path = "api/walk.rs"]
mod walk;
#[path = "api/writing.rs"]
mod writing;
