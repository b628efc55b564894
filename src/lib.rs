//! warmup: a horizontally sharded fleet of workers that warms up e-mail mailboxes.
//!
//! The map of the house; imports go down only, and `api`, `adapters` and `worker` never name one another
//! (`tests/house.rs` holds it):
//!
//! | floor | module | what lives there |
//! |---|---|---|
//! | 0 | [`domain`] | pure decisions: plan, pairing, caps, outcomes |
//! | 1 | [`config`], [`ports`], [`observe`] | settings; what the worker needs of the world; logs and liveness |
//! | 2 | [`adapters`], [`worker`] | Postgres, Redis, SMTP, memory, the system; the loop |
//! | 3 | [`local`] | private servers and the demo's mail sink |
//! | 4 | [`app`] | config to world, start and stop in order |
//! | 5 | [`api`] | HTTP |
//! | 6 | [`cli`] | the command line |

pub mod adapters;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod local;
pub mod observe;
pub mod ports;
pub mod worker;
