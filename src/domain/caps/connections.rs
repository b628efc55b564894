//! `Connections` counts the connections that may be open to one mail host.
//!
//! ```text
//!   granted ├── mail's deadline ──┤ margin │      the slot stays taken, unless it is returned
//!             connection open ├──────┤            so it outlasts the connection, even if the worker dies
//! ```
//!
//! **Why the limit holds.** A worker takes a slot before it opens the connection, and frees the slot only
//! after it closed the connection. The slot of a dead worker expires when none of its mails can still be in
//! progress. **A service that lost or rolled back its data** does not know the open connections. So it
//! grants nothing for the lifetime of one slot.
//!
//! **What fails.** A stopped worker process (SIGSTOP) keeps its connections open after its slots expire. An
//! unnoticed jump ahead of the service's clock ends slots early; `caps.rs` explains which worker notices a
//! jump.

use std::{collections::BTreeMap, time::Duration};

use super::{ConnectionId, FUTURE_MICROS};

/// The time added to the whole mail's deadline. A grant may be 3 s old when the mail begins, QUIT has its own
/// second after the verdict, and the machine may be busy.
pub const MARGIN: Duration = Duration::from_secs(10);

/// The connection slots of one host. All times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Until this time unknown connections may be open.
    free_from: i64,
    /// The expiry of each slot, unless it is returned earlier.
    ends: BTreeMap<ConnectionId, i64>,
}

impl Connections {
    /// Returns an unknown host: all its connections may be open for the lifetime of one slot.
    pub fn cold(now: i64, lasts_micros: i64) -> Connections {
        Connections { free_from: now.saturating_add(lasts_micros), ends: BTreeMap::new() }
    }

    /// Returns true if a stored time lies further in the future than a slot lasts: its clock was set back
    /// since.
    pub fn is_ahead(&self, now: i64, lasts_micros: i64) -> bool {
        let latest = now.saturating_add(lasts_micros).saturating_add(FUTURE_MICROS);
        self.free_from > latest || self.ends.values().any(|ends| *ends > latest)
    }

    /// Returns the time from `now` until one of `most` connections is known to be free; 0 if one is free.
    pub fn wait(&mut self, most: u32, now: i64) -> i64 {
        self.ends.retain(|_, ends| *ends > now);
        let unknown = self.free_from.saturating_sub(now).max(0);
        let full = self.ends.len() >= most as usize;
        let next = self.ends.values().min().filter(|_| full).map_or(0, |ends| ends.saturating_sub(now));
        unknown.max(next)
    }

    /// Takes one slot. The caller checked that `wait` is 0.
    pub fn open(&mut self, slot: ConnectionId, now: i64, lasts_micros: i64) {
        self.ends.insert(slot, now.saturating_add(lasts_micros));
    }

    /// Frees one slot. The call is repeatable; an expired slot is already removed.
    pub fn close(&mut self, slot: ConnectionId) {
        self.ends.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::id::RunId;

    const LASTS: i64 = 60;

    fn slot(number: u64) -> ConnectionId {
        ConnectionId { run: RunId(Uuid::nil()), number }
    }

    fn warm() -> Connections {
        Connections::cold(-LASTS, LASTS)
    }

    #[test]
    fn a_slot_that_nobody_gives_back_ends_by_itself_and_not_before() {
        let mut connections = warm();
        assert_eq!(connections.wait(1, 0), 0);
        connections.open(slot(1), 0, LASTS);
        assert_eq!((connections.wait(1, 1), connections.wait(1, LASTS - 1)), (LASTS - 1, 1));
        assert_eq!(connections.wait(1, LASTS), 0);
    }

    #[test]
    fn what_is_given_back_is_free_at_once_and_once_only() {
        let mut connections = warm();
        connections.open(slot(1), 0, LASTS);
        connections.open(slot(2), 0, LASTS);
        assert_eq!(connections.wait(2, 5), LASTS - 5);
        connections.close(slot(1));
        connections.close(slot(1));
        assert_eq!(connections.wait(2, 5), 0);
        connections.open(slot(3), 5, LASTS);
        assert_eq!(connections.wait(2, 6), LASTS - 6, "the second is still open");
    }

    #[test]
    fn of_a_host_of_which_nothing_is_known_all_may_be_open() {
        let mut cold = Connections::cold(100, LASTS);
        assert_eq!((cold.wait(9, 100), cold.wait(9, 159), cold.wait(9, 160)), (LASTS, 1, 0));
    }

    #[test]
    fn time_that_goes_back_frees_nothing() {
        let mut connections = warm();
        connections.open(slot(1), 1_000, LASTS);
        assert_eq!(connections.wait(1, 500), 500 + LASTS);
    }

    #[test]
    fn slots_of_the_future_are_of_another_clock() {
        let mut connections = warm();
        connections.open(slot(1), 0, LASTS);
        assert!(!connections.is_ahead(0, LASTS));
        connections.open(slot(2), 3_600_000_000, LASTS);
        assert!(connections.is_ahead(0, LASTS));
    }

    #[test]
    fn a_lowered_limit_waits_for_all_that_are_too_many() {
        let mut connections = warm();
        connections.open(slot(1), 0, LASTS);
        connections.open(slot(2), 10, LASTS);
        assert_eq!(connections.wait(1, 20), LASTS - 20);
        assert_eq!(connections.wait(1, LASTS), 10);
    }
}
