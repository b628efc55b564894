//! The machine's own clock and random numbers: the only source of time and chance.

mod clock;
mod rng;

pub use clock::SystemClock;
pub use rng::SeededRng;
