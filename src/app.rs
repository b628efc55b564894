//! Floor 4: from the configuration to a running world, started and stopped in order; and what commands and API share.

pub mod control;
pub mod import;
pub mod overview;
pub mod serve;
pub mod templates;
pub mod world;
