//! Floor 2: the ports, for real and in memory. Each adapter translates its library's errors in one `classify`.

pub mod memory;
pub mod postgres;
pub mod redis;
pub mod seal;
pub mod smtp;
pub mod system;
