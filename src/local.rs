//! Floor 3: private servers for a laptop, the demo and the tests.

pub mod proof;
pub mod servers;
pub mod sink;
