//! This crate provides test worlds: private servers, proxies, mail hosts and the conformance suites of the
//! ports.

pub mod asks;
pub mod conformance;
pub mod day;
pub mod hand_clock;
pub mod headers;
pub mod mailstack;
pub mod mutants;
pub mod process;
pub mod proxy;
pub mod redis_cluster;
pub mod redis_server;
pub mod rolling;
pub mod smtp;
pub mod wire;
pub mod world;
