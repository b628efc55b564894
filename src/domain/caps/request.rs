//! What the caps are asked for one mail.

use std::fmt;

use crate::domain::id::{RunId, UserId};

/// One mail: whose it is, where it is submitted, and by which slot its connection is known while it is open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CapRequest {
    pub user: UserId,
    /// The mail host as it is stored: in lower case.
    pub host: String,
    /// Never used before by anybody.
    pub slot: ConnectionId,
}

impl CapRequest {
    /// The connection that is open once this is granted.
    pub fn connection(&self) -> Connection {
        Connection { host: self.host.clone(), slot: self.slot }
    }
}

/// The name of a connection, for as long as it may be open. No two runs are alike, so no two slots are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub run: RunId,
    /// Counted by the run.
    pub number: u64,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run.0.simple(), self.number)
    }
}

/// A connection to a mail host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    pub host: String,
    pub slot: ConnectionId,
}
