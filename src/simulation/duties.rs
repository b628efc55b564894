//! `MemoryDatabase` records the maintenance jobs and deletes old rows, as the maintenance port requires.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Days, NaiveDate, Utc};

use super::database::{CleanupRow, MemoryDatabase, Tables};
use crate::{
    domain::{
        id::WorkerId,
        maintenance::{MaintenanceJob, PruneTarget},
    },
    ports::{MaintenanceStore, PortError, PruneReport},
};

#[async_trait]
impl MaintenanceStore for MemoryDatabase {
    async fn finished(&self, day: NaiveDate) -> Result<Option<NaiveDate>, PortError> {
        self.statement(|tables| tables.cleanups.range(..=day).rev().find(|(_, row)| row.finished).map(|(day, _)| *day))
    }

    async fn begin(
        &self,
        _worker: &WorkerId,
        day: NaiveDate,
        _now: DateTime<Utc>,
    ) -> Result<Option<BTreeSet<MaintenanceJob>>, PortError> {
        self.write(|tables| {
            let latest = tables.cleanups.range(..day).next_back().map_or(day, |(latest, _)| *latest);
            for missed in latest.iter_days().skip(1).take_while(|missed| *missed < day) {
                let row = CleanupRow { covered_by: Some(day), attempts: 1, ..CleanupRow::default() };
                tables.cleanups.entry(missed).or_insert(row);
            }
            let row = tables.cleanups.entry(day).or_default();
            if row.finished {
                return None;
            }
            row.attempts += 1;
            Some(row.done.keys().copied().collect())
        })
    }

    async fn prune(&self, kept: PruneTarget, before: NaiveDate) -> Result<PruneReport, PortError> {
        self.write(|tables| PruneReport { gone: tables.retire(kept, before), more: false })
    }

    async fn note(&self, day: NaiveDate, duty: MaintenanceJob, gone: u64) -> Result<(), PortError> {
        self.write(|tables| {
            if let Some(row) = tables.cleanups.get_mut(&day).filter(|row| !row.finished) {
                row.done.entry(duty).or_insert(gone);
            }
        })
    }

    async fn finish(&self, day: NaiveDate, _now: DateTime<Utc>) -> Result<bool, PortError> {
        self.write(|tables| {
            let open = tables.cleanups.range_mut(..day + Days::new(1)).filter(|(_, row)| !row.finished);
            let mut ours = false;
            for (date, row) in open {
                (row.finished, row.covered_by) = (true, (*date != day).then_some(day));
                ours |= *date == day;
            }
            ours
        })
    }
}

impl Tables {
    /// Deletes the rows that are older than `before` and returns their number.
    fn retire(&mut self, kept: PruneTarget, before: NaiveDate) -> u64 {
        let old = |at: DateTime<Utc>| at.date_naive() < before;
        let size = self.size(kept);
        match kept {
            PruneTarget::Logs => self.logs.retain(|_, row| row.day >= before),
            PruneTarget::MailboxDays => {
                let flying: BTreeSet<_> = self.flights.values().map(|flight| (flight.mailbox, flight.day)).collect();
                self.days.retain(|key, row| key.1 >= before || !row.closed || flying.contains(key));
            }
            PruneTarget::Events => self.events.retain(|row| !old(row.at)),
            PruneTarget::Batches => self.batches.retain(|_, row| !old(row.started_at)),
            PruneTarget::Rosters => self.rosters.retain(|day, _| *day >= before),
            PruneTarget::UserDays => self.user_days.retain(|(_, day), _| *day >= before),
            PruneTarget::Pairs => {
                self.pairs.keep_from(before);
                self.received.retain(|(day, _), _| *day >= before);
            }
            PruneTarget::Pauses => {
                self.pauses.retain(|_, whole| !whole.until.is_some_and(old));
                self.blame.retain(old);
            }
            PruneTarget::Replies => {
                self.replies.retain(|_, row| !old(row.due.at) || matches!(row.state, "waiting" | "claimed"));
            }
            PruneTarget::Cleanups => self.cleanups.retain(|day, row| *day >= before || !row.finished),
        }
        (size - self.size(kept)) as u64
    }

    fn size(&self, kept: PruneTarget) -> usize {
        match kept {
            PruneTarget::Logs => self.logs.len(),
            PruneTarget::MailboxDays => self.days.len(),
            PruneTarget::Events => self.events.len(),
            PruneTarget::Batches => self.batches.len(),
            PruneTarget::Rosters => self.rosters.len(),
            PruneTarget::UserDays => self.user_days.len(),
            PruneTarget::Pairs => self.pairs.len() + self.received.len(),
            PruneTarget::Pauses => self.pauses.len() + self.blame.len(),
            PruneTarget::Replies => self.replies.len(),
            PruneTarget::Cleanups => self.cleanups.len(),
        }
    }
}
