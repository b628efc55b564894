//! Test worlds.

pub mod world;
pub mod smtp;
pub mod conformance;
pub mod hand_clock;
pub mod redis_server;
pub mod rolling;
