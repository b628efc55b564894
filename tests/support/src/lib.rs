//! Test worlds.

pub mod smtp;
