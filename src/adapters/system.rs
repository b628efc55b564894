//! The machine's own clock and dice: the only place where time and chance enter.

mod clock;
mod rng;

pub use clock::SystemClock;
pub use rng::SeededRng;
