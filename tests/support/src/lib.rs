//! Test worlds.

pub mod world;
pub mod smtp;
