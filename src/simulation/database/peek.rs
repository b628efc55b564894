//! `MemoryDatabase` returns single rows to a checker that runs after every statement and can't read all tables.

use std::{collections::BTreeMap, sync::Arc};

use super::{Enrolled, EventRow, LogRow, MailboxState, MemoryDatabase, Tables};
use crate::domain::{
    id::{FlightId, MailboxId, UserId},
    outcome::escalation::HostState,
};

/// The sending state of a mailbox, and whether it may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderState {
    pub owner: UserId,
    /// The mail host in lower case, without port.
    pub host: Arc<str>,
    pub sending: MailboxState,
    pub receiving: MailboxState,
    /// True if neither the mailbox nor its host, domain or login is paused.
    pub can_send: bool,
    /// The number of days by which its ramp has grown.
    pub grown: u16,
}

impl MemoryDatabase {
    /// Returns the present state of every mailbox.
    pub fn sender_states(&self) -> BTreeMap<MailboxId, SenderState> {
        let (tables, now) = (self.tables(), self.clock.now());
        let state = |mailbox: &Enrolled| SenderState {
            owner: mailbox.user,
            host: Arc::clone(&mailbox.host),
            sending: mailbox.sending.clone(),
            receiving: mailbox.receiving.clone(),
            can_send: tables.may_send(mailbox, now),
            grown: mailbox.grown,
        };
        tables.mailboxes.iter().map(|(id, mailbox)| (*id, state(mailbox))).collect()
    }

    /// Returns the log row of a flight.
    pub fn log(&self, flight: FlightId) -> Option<LogRow> {
        self.tables().logs.get(&flight).cloned()
    }

    /// Returns all events after the first `seen` ones.
    pub fn events_after(&self, seen: usize) -> Vec<EventRow> {
        self.tables().events.iter().skip(seen).cloned().collect()
    }

    /// Returns whether the fleet order is to send.
    pub fn is_running(&self) -> bool {
        self.tables().running
    }

    /// Returns the state of a mail host with any counted failure.
    pub fn host(&self, host: &str) -> Option<HostState> {
        self.tables().pauses.get(&("host", host.to_lowercase())).cloned()
    }

    /// Returns whether a mailbox may send now, and whether it may receive.
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

    /// Returns the Message-IDs of the flights that are not settled, with their senders.
    pub fn on_their_way(&self) -> BTreeMap<String, MailboxId> {
        self.tables().flights.values().map(|flight| (flight.message_id.clone(), flight.mailbox)).collect()
    }
}
