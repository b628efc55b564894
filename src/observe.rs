//! The observe layer (layer 1) reports the state of the process: metrics, traces, logs and health.

pub mod access;
pub mod doc;
pub mod fleet;
pub mod liveness;
pub mod logging;
pub mod mail_spans;
pub mod meters;
pub mod spans;
pub mod telemetry;
