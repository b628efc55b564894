//! Floor 4: from the configuration to a running world, started and stopped in order; and what commands and API share.

pub mod advice;
pub mod bench;
pub mod census;
pub mod checkup;
pub mod control;
pub mod desk;
mod directory;
pub mod events;
pub mod exposition;
pub mod import;
pub mod keys;
mod keywatch;
pub mod legacy;
pub mod local;
mod metered;
pub mod overview;
mod patience;
mod pushing;
mod sending;
pub mod serve;
pub mod shards;
pub mod simulate;
pub mod standing;
pub mod templates;
pub mod tokens;
pub mod users;
pub mod world;
