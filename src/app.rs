//! The runtime: it makes the ports of a configuration, runs the worker and the API, and stops them in order.

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
