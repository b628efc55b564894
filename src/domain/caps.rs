//! The caps limit the mails in *any* rolling hour and minute, for the fleet and for each user. A limited mail
//! host (`domain/hosts.rs`) has its own rates and a maximum of simultaneous connections.
//!
//! ```text
//!              ┌ global hour ┐ ┌ global minute ┐ ┌ user hour ┐ ┌ user minute ┐ ┌ host's rates ┐ ┌ connections ┐
//!   a mail ──▶ │  a token?   │ │   a token?    │ │ a token?  │ │  a token?   │ │  a token?    │ │  one free?  │
//!              └─────────────┘ └───────────────┘ └───────────┘ └─────────────┘ └──────────────┘ └─────────────┘
//!              all: granted, one taken of each          else: nothing taken, and when to ask again
//! ```
//!
//! **Why the limit holds.** A bucket has room for B = max(1, floor(limit x burst)) tokens. It gains one every
//! T = ceil((window + 5 s) / max(1, limit - B)). Between two grants the mails took at most the B tokens at the
//! start and the floor(time / T) gained ones. So a window never has more than B +
//! floor(window / T) mails, which is below the limit. It stays at most the limit if a window is stretched by
//! the 5 s that a mail may need to arrive. An unknown bucket starts at exactly 0, never more than its former
//! level. So a service that lost or rolled back its data can only make the fleet slower.
//!
//! **Time that goes back** by at most 10 minutes ([`FUTURE_MICROS`]), as between two callers, adds nothing.
//! The bucket grants nothing until time has caught up. A bucket that lies further in the future was stored
//! before its clock was set back, so it becomes cold: it starts at 0 now. Its earlier tokens are in no bucket,
//! so a window has no more mails than after a loss of the data.
//!
//! **Time that jumps ahead** would fill every bucket although no time passed. The caller states the time that
//! it expects, from the last known time of the service and its machine clock. If the service's time differs
//! by more than 2 s, all buckets become cold.
//!
//! **What fails.** A jump ahead fills the buckets once if no requesting worker noticed it, because all of them are
//! new. A raised limit applies from the next mail. Two active services (two Redis masters) grant twice.
//!
//! **Connections** are described in `caps/connections.rs`.
//!
//! This module is the model. `lua/caps.lua` decides in production, and a test compares both on random histories.

mod bucket;
mod connections;
mod host;
mod request;

use std::time::Duration;

pub use bucket::{Bucket, CapOutOfRange, DEVIATION_MICROS, FUTURE_MICROS, Period, Rate, SLACK_MICROS};
pub use connections::{Connections, MARGIN};
pub use host::{DAY_BURST, HostCaps, HostRates};
pub use request::{CapRequest, Connection, ConnectionId};

/// The configured limits: `WARMUP_GLOBAL_HOURLY_LIMIT` and so on. A limit of 0 refuses every mail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapLimits {
    pub global_hour: u32,
    pub global_minute: u32,
    pub user_hour: u32,
    pub user_minute: u32,
    /// `WARMUP_CAP_BURST`, 0 to 1: the share of a limit that may go at once.
    pub burst: f64,
}

/// The kind of a cap: four apply to every mail, the others to the mails of a limited host.
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
    /// All kinds in the order in which the script numbers them, from 1. Of equal waits the refusal names the
    /// first kind.
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

    /// The kinds that apply to every mail.
    pub const OF_EVERY_MAIL: [CapKind; 4] =
        [CapKind::GlobalHour, CapKind::GlobalMinute, CapKind::UserHour, CapKind::UserMinute];

    /// The rates that a host may have.
    pub const OF_HOSTS: [CapKind; 3] = [CapKind::HostMinute, CapKind::HostHour, CapKind::HostDay];

    /// Returns the name of the kind in metrics, events, logs and keys.
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

    /// Returns true if each user has its own bucket of this kind; otherwise the fleet shares one.
    pub fn is_per_user(self) -> bool {
        matches!(self, CapKind::UserHour | CapKind::UserMinute)
    }
}

/// The answer to the cap request of one mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// One token was taken from every bucket. An unused token is lost; there is no refund. If the host's
    /// connections are counted, one connection slot is taken until it is returned or expires.
    Granted,
    /// No token was taken. `wait` is the time until the slowest of the short buckets has a token, on the day
    /// clock; `cap` names that bucket.
    Refused { cap: CapKind, wait: Duration },
}

/// The rates that apply to every mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates([Rate; 4]);

impl Rates {
    /// Computes the rates of `limits`. Returns an error if one of them can't be counted exactly.
    pub fn of(limits: &CapLimits) -> Result<Rates, CapOutOfRange> {
        let rate = |limit, period| Rate::new(limit, period, limits.burst);
        Ok(Rates([
            rate(limits.global_hour, Period::Hour)?,
            rate(limits.global_minute, Period::Minute)?,
            rate(limits.user_hour, Period::Hour)?,
            rate(limits.user_minute, Period::Minute)?,
        ]))
    }

    /// Returns the rates with their kinds.
    pub fn iter(&self) -> impl Iterator<Item = (CapKind, Rate)> {
        CapKind::OF_EVERY_MAIL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod properties;
