//! Postgres: what must last. SQL stands here and nowhere else.

pub mod enrol;
pub mod keyring;
pub mod migrate;
pub mod pool;
pub mod view;
