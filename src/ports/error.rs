//! One error for all ports, sorted by what the caller can do about it.

use thiserror::Error;

/// Why a port did not do what was asked.
#[derive(Debug, Error)]
pub enum PortError {
    /// The service is away or overloaded and did nothing: back off and ask again.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The service answers and refuses to write, because it is read-only or its disk is full; nothing happened: give up
    /// what needs writes, back off and ask again.
    #[error("cannot write: {0}")]
    Unwritable(String),
    /// The service is there and did not finish what was asked in time, and undid it: ask for less, or later.
    #[error("too slow: {0}")]
    Slow(String),
    /// The service refuses our credentials and did nothing: back off. An operator must give it the present ones.
    #[error("denied: {0}")]
    Denied(String),
    /// What was relied on is no longer ours (a lease, an epoch): stop.
    #[error("lost: {0}")]
    Lost(String),
    /// Somebody else did it meanwhile: read again.
    #[error("conflict: {0}")]
    Conflict(String),
    /// It will never work as asked: record it, do not repeat.
    #[error("permanent: {0}")]
    Permanent(String),
    /// It may or may not have happened: find out, never blindly repeat what is not repeatable.
    #[error("unknown outcome: {0}")]
    Unknown(String),
}

impl PortError {
    /// The word for it in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            PortError::Unavailable(_) => "unavailable",
            PortError::Unwritable(_) => "unwritable",
            PortError::Slow(_) => "slow",
            PortError::Denied(_) => "denied",
            PortError::Lost(_) => "lost",
            PortError::Conflict(_) => "conflict",
            PortError::Permanent(_) => "permanent",
            PortError::Unknown(_) => "unknown",
        }
    }
}
