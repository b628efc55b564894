//! Floor 4: from the configuration to a running world, started and stopped in order; and what commands and API share.

pub mod control;
pub mod import;
pub mod local;
pub mod overview;
mod patience;
pub mod serve;
pub mod templates;
pub mod world;
