//! warmup: a horizontally sharded fleet of workers that warms up e-mail mailboxes.
//!
//! A module imports modules of lower layers only. `api`, `adapters` and `worker` never import one another. The test
//! `tests/house/floors.rs` enforces this table:
//!
//! | layer | module | contents |
//! |---|---|---|
//! | 0 | [`domain`] | pure decisions: plan, pairing, caps, outcomes |
//! | 1 | [`config`], [`ports`], [`observe`] | settings; traits that the worker needs; logs, metrics and liveness |
//! | 2 | [`adapters`], [`simulation`], [`worker`] | Postgres, Redis, SMTP and the system; the same ports in memory; the loop |
//! | 3 | [`local`], [`demo`], [`reporting`] | private servers; the demo's mail sink and audit; the read side with its SQL |
//! | 4 | [`admin`] | use cases that commands and API share |
//! | 5 | [`api`] | HTTP |
//! | 6 | [`app`] | the runtime, from configuration to ports, with ordered start and stop |
//! | 7 | [`cli`] | the command line |

pub mod adapters;
pub mod admin;
pub mod api;
pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod local;
pub mod observe;
pub mod ports;
pub mod reporting;
pub mod simulation;
pub mod worker;
