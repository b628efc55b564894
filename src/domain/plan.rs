//! The plan of a tick.
