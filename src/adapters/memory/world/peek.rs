//! Single rows, for whoever looks at the record after every statement and can't afford to read all of it.

use std::collections::BTreeMap;

use super::{EventRow, LogRow, MemoryWorld, Tables};
use crate::domain::{
    id::{FlightId, MailboxId},
    outcome::standing::Whole,
};

impl MemoryWorld {
    /// Returns the log's row of a flight.
    pub fn log(&self, flight: FlightId) -> Option<LogRow> {
        self.tables().logs.get(&flight).cloned()
    }

    /// Returns what was told after the first `seen` events.
    pub fn events_after(&self, seen: usize) -> Vec<EventRow> {
        self.tables().events.iter().skip(seen).cloned().collect()
    }

    /// Says whether the standing order is to send.
    pub fn is_running(&self) -> bool {
        self.tables().running
    }

    /// Returns how a mail host stands, where anything was ever counted.
    pub fn host(&self, host: &str) -> Option<Whole> {
        self.tables().pauses.get(&("host", host.to_lowercase())).cloned()
    }

    /// Says whether a mailbox may send now, and whether it may be written to.
    pub fn may_send_and_receive(&self, mailbox: MailboxId) -> (bool, bool) {
        let (tables, now) = (self.tables(), self.clock.now());
        tables
            .mailboxes
            .get(&mailbox)
            .map_or((false, false), |mailbox| (tables.may_send(mailbox, now), Tables::may_receive(mailbox, now)))
    }

    /// Returns the flights that are not settled.
    pub fn in_flight(&self) -> Vec<FlightId> {
        self.tables().flights.keys().copied().collect()
    }

    /// Returns the Message-IDs of the flights that are not settled, with who sends them.
    pub fn on_their_way(&self) -> BTreeMap<String, MailboxId> {
        self.tables().flights.values().map(|flight| (flight.message_id.clone(), flight.mailbox)).collect()
    }
}
