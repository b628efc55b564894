//! Floor 4: from the configuration to a running world, started and stopped in order.

pub mod import;
pub mod partners;
pub mod serve;
pub mod world;
