//! Private Postgres and Redis servers, and the data folder in which they run, for a laptop, the demo and the tests.

mod advice;
pub mod data_dir;
pub mod servers;
