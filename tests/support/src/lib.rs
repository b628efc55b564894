//! Test worlds.

pub mod conformance;
pub mod hand_clock;
pub mod redis_server;
pub mod rolling;
