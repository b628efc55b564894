//! Floor 4: from the configuration to a working whole, and what commands and API do in common.

pub mod import;
pub mod overview;
