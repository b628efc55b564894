//! The machine's own clock and dice: the only place where time and chance enter.

mod clock;
mod dice;

pub use clock::SystemClock;
pub use dice::SeededRng;
