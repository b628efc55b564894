//! `MemoryDatabase::fence` fences a database that was set back, as `PostgresFence` does.

use super::close::{Ending, close};
use crate::{
    domain::{
        id::{Epoch, FlightId, MailboxId, ReplyId},
        time::today,
    },
    simulation::database::{DayRow, MemoryDatabase, Tables},
};

impl MemoryDatabase {
    /// Stops the fleet and raises ids and epochs above all earlier ones. Settles all flights as uncertain, and closes
    /// today for every mailbox in its own time zone.
    pub fn fence(&self) {
        let (mut tables, now) = (self.tables(), self.clock.now());
        let seconds = now.timestamp();
        (tables.now, tables.running, tables.is_set_back) = (now, false, true);
        tables.fence = (tables.fence + 1).max(seconds);
        for (epoch, _) in tables.shards.values_mut() {
            *epoch = Epoch((epoch.0 + 1).max(seconds));
        }
        tables.last_flight = (tables.last_flight + 1).max(seconds * 1_000_000);
        let flights: Vec<FlightId> = tables.flights.keys().copied().collect();
        close(&mut tables, flights.into_iter().map(|flight| Ending::orphaned(flight, now)).collect());
        let mailboxes: Vec<MailboxId> = tables.mailboxes.keys().copied().collect();
        mailboxes.into_iter().for_each(|mailbox| tables.close_today(mailbox));
        let waiting = tables.replies.iter().filter(|(_, row)| matches!(row.state, "waiting" | "claimed"));
        let waiting: Vec<ReplyId> = waiting.map(|(id, _)| *id).collect();
        waiting.into_iter().for_each(|id| tables.lapse(id, "fenced"));
        tables.tell("fleet-fenced", None, "operator");
    }

    /// Starts the fleet after a fence.
    pub fn start_fenced(&self) {
        let (mut tables, now) = (self.tables(), self.clock.now());
        (tables.now, tables.running, tables.is_set_back) = (now, true, false);
        tables.tell("fleet-started", None, "operator");
    }
}

impl Tables {
    fn close_today(&mut self, id: MailboxId) {
        let mailbox = &self.mailboxes[&id];
        let (day, quota) = (today(mailbox.schedule.zone, self.now), mailbox.quota());
        let row = self.days.entry((id, day)).or_insert_with(|| DayRow { quota, ..DayRow::default() });
        (row.closed, row.fenced) = (true, true);
    }
}
