//! A `CapRequest` asks the caps for permission to send one mail.

use std::fmt;

use crate::domain::id::{RunId, UserId};

/// The request of one mail: its user, its mail host, and the slot that names its connection while it is open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CapRequest {
    pub user: UserId,
    /// The mail host as stored: in lower case.
    pub host: String,
    /// A slot that no worker used before.
    pub slot: ConnectionId,
}

impl CapRequest {
    /// Returns the connection that may open once this request is granted.
    pub fn connection(&self) -> Connection {
        Connection { host: self.host.clone(), slot: self.slot }
    }
}

/// The name of a connection while it may be open. Each run is unique, so each slot is unique too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub run: RunId,
    /// The counter of the run.
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
