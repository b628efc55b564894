//! Floor 3: private servers and workers for a laptop, the demo and the tests.

mod advice;
pub mod home;
pub mod proof;
pub mod servers;
pub mod sink;
pub mod team;
