//! What a mail host takes from all of us together: so many mails a minute, an hour, a day, and so many connections at
//! once.
//!
//! A limit is *by host*: the name that a mailbox submits to. What a provider counts by account is no matter of this
//! table; `built_in.txt` says why. A host that is in no line has no limit. The operator's file goes before the built-in
//! table, so that one can raise, lower or lift what is built in.

mod by_host;
mod file;

use std::collections::BTreeMap;

pub use by_host::ByHost;
pub use file::{LARGEST_RATE, MOST_CONNECTIONS, read};

/// The limits of one host. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostLimit {
    /// Mails in any minute.
    pub minute: Option<u32>,
    /// In any hour.
    pub hour: Option<u32>,
    /// In any 24 hours.
    pub day: Option<u32>,
    /// Connections that may be open at once.
    pub connections: Option<u32>,
}

impl HostLimit {
    /// Says whether there is no limit at all.
    pub fn is_none(&self) -> bool {
        *self == HostLimit::default()
    }
}

/// The limits of all hosts.
pub type HostLimits = ByHost<HostLimit>;

impl HostLimits {
    /// The built-in table alone.
    pub fn built_in() -> HostLimits {
        ByHost::of(vec![built_in()])
    }

    /// The operator's lines, and the built-in table for the hosts that they do not name.
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
