//! The caps: at most so many mails an hour and a minute, for the fleet and for each user.

use std::time::Duration;

use async_trait::async_trait;

use super::error::PortError;
use crate::domain::id::UserId;

/// Which of the four caps refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapKind {
    GlobalHour,
    GlobalMinute,
    UserHour,
    UserMinute,
}

impl CapKind {
    /// The word for it in metrics, events and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            CapKind::GlobalHour => "global_hour",
            CapKind::GlobalMinute => "global_minute",
            CapKind::UserHour => "user_hour",
            CapKind::UserMinute => "user_minute",
        }
    }
}

/// The answer to one mail's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A token was taken from all four buckets. It is lost when it is not used at once; there is no refund.
    Granted,
    /// No bucket was touched; `wait` is when the slowest of the short ones will have a token, on the day clock, and
    /// `cap` names that one.
    Refused { cap: CapKind, wait: Duration },
}

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
