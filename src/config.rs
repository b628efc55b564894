//! Settings.

/// All faults of a configuration at once.
#[derive(Debug, thiserror::Error)]
#[error("bad configuration")]
pub struct Faults;
