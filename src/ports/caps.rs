//! The caps: at most so many mails an hour and a minute, for the fleet and for each user.

use async_trait::async_trait;

use super::error::PortError;
pub use crate::domain::caps::{CapKind, Grant};
use crate::domain::id::UserId;

/// The token buckets of the fleet.
#[async_trait]
pub trait Caps: Send + Sync {
    /// Asks for one token for each of `users`, in the order of urgency, and returns an answer for each in that order.
    /// One atomic step; a refusal skips that mail and not those behind it. `now` is microseconds since the epoch, or
    /// `None` for the server's own time.
    ///
    /// Returns `Unavailable` when the buckets can't be reached; `Unknown` when the answer was lost (the tokens may be
    /// gone; they are not given back).
    async fn grant(&self, now: Option<i64>, users: &[UserId]) -> Result<Vec<Grant>, PortError>;
}
