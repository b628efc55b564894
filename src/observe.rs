//! Layer 1: how the process shows itself.

pub mod access;
pub mod doc;
pub mod fleet;
pub mod liveness;
pub mod logging;
pub mod mail_spans;
pub mod meters;
pub mod spans;
pub mod telemetry;
