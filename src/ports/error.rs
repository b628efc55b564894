//! `PortError` classifies the errors of all ports by the reaction that they require from the caller.

use thiserror::Error;

/// The reason why a port call failed, with the reaction of the caller.
#[derive(Debug, Error)]
pub enum PortError {
    /// The service is away or overloaded and did nothing. Back off and try again.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The service answers but refuses to write, because it is read-only or its disk is full. Nothing happened. Give up
    /// everything that needs writes, back off and try again.
    #[error("cannot write: {0}")]
    Unwritable(String),
    /// The service ran out of time and undid the request. Request less, or try later.
    #[error("too slow: {0}")]
    Slow(String),
    /// The service refuses our credentials and did nothing. Back off; an operator must correct the credentials.
    #[error("denied: {0}")]
    Denied(String),
    /// A lease or an epoch is no longer ours. Stop.
    #[error("lost: {0}")]
    Lost(String),
    /// Another caller did it meanwhile. Read again.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The request can never succeed. Record it and do not repeat it.
    #[error("permanent: {0}")]
    Permanent(String),
    /// The request may have succeeded. Find out, and never repeat a request that is not repeatable.
    #[error("unknown outcome: {0}")]
    Unknown(String),
}

impl PortError {
    /// Returns the name of the error in metrics.
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
