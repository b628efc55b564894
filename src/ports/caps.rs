//! The caps: at most so many mails an hour and a minute, for the fleet and for each user; and of a limited mail host, its
//! rates and its connections.

use async_trait::async_trait;

use super::error::PortError;
pub use crate::domain::caps::{CapKind, CapRequest, Connection, ConnectionId, Grant};

/// The token buckets of the fleet.
#[async_trait]
pub trait Caps: Send + Sync {
    /// Takes back the connections `closed`, then asks for one token of each bucket, and for a connection where they are
    /// counted, for each of `asks`, in the order of urgency; returns an answer for each in that order. One atomic step; a
    /// refusal skips that mail and not those behind it. `now` is microseconds since the epoch, or `None` for the
    /// server's own time.
    ///
    /// A connection that is taken ends by itself once no mail can be on its way any more; who closes it gives it back, so
    /// that nobody waits that long. Giving back is repeatable; with no asks it is all that is done.
    ///
    /// Returns `Unavailable` when the buckets can't be reached; `Unknown` when the answer was lost (the tokens may be
    /// gone and are not given back; connections may be taken, and can be).
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError>;

    /// Says whether connections to `host` are counted, and so have to be given back. Asks nobody.
    fn counts_connections(&self, host: &str) -> bool;
}
