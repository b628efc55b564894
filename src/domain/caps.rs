//! The caps: at most so many mails an hour and a minute, for the fleet and for each user, in *any* rolling window; and
//! for a mail host that is limited (`domain/hosts.rs`), its own rates, and so many connections at once.
//!
//! ```text
//!              ┌ global hour ┐ ┌ global minute ┐ ┌ user hour ┐ ┌ user minute ┐ ┌ host's rates ┐ ┌ connections ┐
//!   a mail ──▶ │  a token?   │ │   a token?    │ │ a token?  │ │  a token?   │ │  a token?    │ │  one free?  │
//!              └─────────────┘ └───────────────┘ └───────────┘ └─────────────┘ └──────────────┘ └─────────────┘
//!              all: granted, one taken of each          else: nothing taken, and when to ask again
//! ```
//!
//! **Why it holds.** A bucket has room for B = max(1, floor(limit x burst)) tokens and gains one every
//! T = ceil((window + 5 s) / max(1, limit - B)). Between the first and the last of n grants at most the B tokens that
//! were there and the time's own floor(time / T) were taken, so a window never sees more than B + floor(window / T),
//! which is below the limit; and still at most the limit when a window is stretched by the 5 s that a mail may need to
//! arrive. A bucket about which nothing is known holds exactly 0: whatever it held before, that is not more, so a
//! service that lost or rolled back its data can only make the fleet slower.
//!
//! **Time that goes back** by no more than a minute, as between two callers, adds nothing and grants nothing until it has caught
//! up. A bucket that lies further in the future was stored by a clock that has been set back since, so it is cold: at 0
//! from now on. Its earlier tokens are in no bucket any more, so a window holds no more than after a loss of the data.
//!
//! **Time that jumps ahead** would fill every bucket although no time passed. The caller says which time it expects, by the
//! last time that it was told and its machine clock; if the service's differs by more than 2 s, all buckets are cold.
//!
//! **What fails.** A jump ahead that no asking worker has seen, because all of them are new, fills the buckets once. A limit
//! that is raised applies from the next mail. Two services that both think they are the one (two Redis masters) grant twice.
//!
//! **Connections** are in `connections.rs`.
//!
//! This is the model; `lua/caps.lua` is the same in Redis, and a test compares them on random histories.

mod bucket;
mod connections;
mod host;
mod request;

use std::time::Duration;

pub use bucket::{Bucket, CapOutOfRange, DEVIATION_MICROS, FUTURE_MICROS, Period, Rate, SLACK_MICROS};
pub use connections::{Connections, MARGIN};
pub use host::{DAY_BURST, HostCaps, HostRates};
pub use request::{CapRequest, Connection, ConnectionId};

/// The limits as they are configured: `WARMUP_GLOBAL_HOURLY_LIMIT` and so on. 0 lets nothing through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapLimits {
    pub global_hour: u32,
    pub global_minute: u32,
    pub user_hour: u32,
    pub user_minute: u32,
    /// `WARMUP_CAP_BURST`, 0 to 1: the share of a limit that may go at once.
    pub burst: f64,
}

/// Which of the caps: the four of every mail, and those of its host where it is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapKind {
    GlobalHour,
    GlobalMinute,
    UserHour,
    UserMinute,
    HostMinute,
    HostHour,
    HostDay,
    HostConnections,
}

impl CapKind {
    /// All in the order in which the script numbers them, from 1; of equal waits the first is named.
    pub const ALL: [CapKind; 8] = [
        CapKind::GlobalHour,
        CapKind::GlobalMinute,
        CapKind::UserHour,
        CapKind::UserMinute,
        CapKind::HostMinute,
        CapKind::HostHour,
        CapKind::HostDay,
        CapKind::HostConnections,
    ];

    /// Those of every mail.
    pub const OF_EVERY_MAIL: [CapKind; 4] =
        [CapKind::GlobalHour, CapKind::GlobalMinute, CapKind::UserHour, CapKind::UserMinute];

    /// The rates that a host may have.
    pub const OF_HOSTS: [CapKind; 3] = [CapKind::HostMinute, CapKind::HostHour, CapKind::HostDay];

    /// The word for it in metrics, events, logs and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            CapKind::GlobalHour => "global_hour",
            CapKind::GlobalMinute => "global_minute",
            CapKind::UserHour => "user_hour",
            CapKind::UserMinute => "user_minute",
            CapKind::HostMinute => "host_minute",
            CapKind::HostHour => "host_hour",
            CapKind::HostDay => "host_day",
            CapKind::HostConnections => "host_connections",
        }
    }

    /// Says whether each user has its own bucket of this kind, or the fleet one together.
    pub fn is_per_user(self) -> bool {
        matches!(self, CapKind::UserHour | CapKind::UserMinute)
    }
}

/// The answer to one mail's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A token was taken from all buckets. It is lost when it is not used at once; there is no refund. Of a host whose
    /// connections are counted one is taken, until it is given back or its time is over.
    Granted,
    /// No token was taken; `wait` is when the slowest of the short ones will have a token, on the day clock, and
    /// `cap` names that one.
    Refused { cap: CapKind, wait: Duration },
}

/// The rates of a configuration that every mail has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates([Rate; 4]);

impl Rates {
    /// Computes the rates of `limits`. Returns an error when one can't be counted exactly.
    pub fn of(limits: &CapLimits) -> Result<Rates, CapOutOfRange> {
        let rate = |limit, period| Rate::new(limit, period, limits.burst);
        Ok(Rates([
            rate(limits.global_hour, Period::Hour)?,
            rate(limits.global_minute, Period::Minute)?,
            rate(limits.user_hour, Period::Hour)?,
            rate(limits.user_minute, Period::Minute)?,
        ]))
    }

    /// Returns them with their kinds.
    pub fn iter(&self) -> impl Iterator<Item = (CapKind, Rate)> {
        CapKind::OF_EVERY_MAIL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod properties;
