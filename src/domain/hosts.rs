//! `HostLimits` holds the limits of each mail host for all senders together: mails per minute, hour and day,
//! and simultaneous connections.
//!
//! A limit applies *by host*: the name to which a mailbox submits. The table has no limits per account;
//! `built_in.txt` gives the reason. A host without a line has no limit. The operator's file precedes the
//! built-in table, so that it can raise, lower or lift a built-in limit.

mod by_host;
mod file;

use std::collections::BTreeMap;

pub use by_host::ByHost;
pub use file::{LARGEST_RATE, MOST_CONNECTIONS, read};

/// The limits of one host. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostLimit {
    /// The mails in any minute.
    pub minute: Option<u32>,
    /// The mails in any hour.
    pub hour: Option<u32>,
    /// The mails in any 24 hours.
    pub day: Option<u32>,
    /// The connections that may be open at once.
    pub connections: Option<u32>,
}

impl HostLimit {
    /// Returns true if there is no limit at all.
    pub fn is_none(&self) -> bool {
        *self == HostLimit::default()
    }
}

/// The limits of all hosts.
pub type HostLimits = ByHost<HostLimit>;

impl HostLimits {
    /// Returns the built-in table alone.
    pub fn built_in() -> HostLimits {
        ByHost::of(vec![built_in()])
    }

    /// Returns the operator's limits, and the built-in ones for the hosts that the operator does not name.
    pub fn with(own: BTreeMap<String, HostLimit>) -> HostLimits {
        ByHost::of(vec![own, built_in()])
    }
}

fn built_in() -> BTreeMap<String, HostLimit> {
    read(include_str!("hosts/built_in.txt")).expect("the built-in table is read by a test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_sound_and_unlisted_hosts_have_no_limit() {
        let limits = HostLimits::built_in();
        let azure = HostLimit { hour: Some(100), ..HostLimit::default() };
        assert_eq!(limits.get("smtp.azurecomm.net"), Some(&azure));
        assert_eq!(limits.get("smtp.gmail.com"), None, "it counts by account");
    }

    #[test]
    fn the_operator_can_lift_what_is_built_in() {
        let limits = HostLimits::with(read("*.azurecomm.net unlimited\n").unwrap());
        assert!(limits.get("smtp.azurecomm.net").unwrap().is_none());
    }
}
