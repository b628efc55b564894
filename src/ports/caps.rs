//! `Caps` grants mails under the rate limits of the fleet, of each user and of limited mail hosts.
//!
//! The fleet and each user have a limit per hour and per minute. A limited mail host has limits of its rates and of its
//! open connections. The terms and the rules of the token buckets are in `domain/caps.rs`.

use async_trait::async_trait;

use super::error::PortError;
pub use crate::domain::caps::{CapKind, CapRequest, Connection, ConnectionId, Grant};

/// The token buckets of one fleet.
#[async_trait]
pub trait Caps: Send + Sync {
    /// Gives back the connections `closed`, then requests a grant for each of `asks`, in order of urgency. A grant
    /// takes one token of each bucket, and a connection if the host limits connections. Returns one answer per request,
    /// in order. The call is one atomic step. A refusal concerns its own mail only, not the following ones. `now` is in
    /// microseconds since the epoch; `None` means the server's own time.
    ///
    /// A connection expires when no mail can be using it. The worker that closes it gives it back, so that the others
    /// need not wait for the expiry. Giving back is repeatable; without `asks` the call does nothing else.
    ///
    /// Returns `Unavailable` when the buckets can't be reached. Returns `Unknown` when the answer was lost. Tokens may
    /// then be taken and are lost; connections may be taken and can be given back.
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError>;

    /// Returns whether `host` limits its connections, so that they must be given back. Makes no request.
    fn counts_connections(&self, host: &str) -> bool;
}
