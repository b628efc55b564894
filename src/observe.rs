//! Floor 1: how the process shows itself.

pub mod liveness;
pub mod logging;
