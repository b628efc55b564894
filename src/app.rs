//! The `app` module builds the ports from the settings, runs the worker and the API, and stops them in order.
//!
//! It is the runtime above the use cases (`admin.rs`), the read side (`reporting.rs`) and the API (`api.rs`).
//! `serve.rs` runs one process, `local.rs` adds private servers, `simulate.rs` and `benchmark.rs` measure the
//! worker.

pub mod benchmark;
pub mod credentials;
mod instrumented;
mod key_rotation_watch;
pub mod local;
mod metrics_push;
mod send_runtime;
pub mod serve;
pub mod simulate;
mod wait_for_server;
pub mod wiring;
