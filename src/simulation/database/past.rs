//! `MemoryDatabase::remember` creates old rows on demand, for tests of retention.

use std::{iter, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{BatchRow, CleanupRow, DayRow, EventRow, FlightRow, LogRow, MemoryDatabase, ReplyRow};
use crate::{
    domain::{
        id::{BatchId, FlightId, MailboxId, ReplyId, RunId, ShardId, UserId},
        lease::MachineTime,
        maintenance::PruneTarget,
        outcome::escalation::HostState,
        reply::ReplyWindow,
    },
    ports::Roster,
};

const BOX: MailboxId = MailboxId(1);
const PARTNER: MailboxId = MailboxId(2);
const OWNER: UserId = UserId(1);

impl MemoryDatabase {
    /// Writes a finished row of `kept` with the date `day`.
    pub fn remember(&self, kept: PruneTarget, day: NaiveDate) {
        let mut tables = self.tables();
        let next = i64::try_from(tables.logs.len() + tables.batches.len()).unwrap_or(i64::MAX) + 1;
        match kept {
            PruneTarget::Logs => {
                let row = LogRow {
                    day,
                    mailbox: BOX,
                    partner: PARTNER,
                    message_id: String::new(),
                    status: "SENT",
                    reason: None,
                    subject: String::new(),
                    answers: None,
                };
                tables.logs.insert(FlightId(next), row);
            }
            PruneTarget::MailboxDays => {
                tables.days.insert((BOX, day), DayRow { closed: true, ..DayRow::default() });
            }
            PruneTarget::Events => tables.events.push(EventRow {
                at: noon(day),
                kind: String::new(),
                mailbox: None,
                reason: String::new(),
            }),
            PruneTarget::Batches => {
                tables.batches.insert(BatchId(next), BatchRow { started_at: noon(day), ..BatchRow::default() });
            }
            PruneTarget::Rosters => drop(tables.rosters.insert(day, Roster::default())),
            PruneTarget::UserDays => drop(tables.user_days.insert((OWNER, day), 0)),
            PruneTarget::Pairs => tables.pairs.insert(day, BOX, (PARTNER, 0)),
            PruneTarget::Pauses => {
                let whole = HostState { until: Some(noon(day)), ..HostState::default() };
                tables.pauses.insert(("host", day.to_string()), whole);
            }
            PruneTarget::Replies => {
                let row = ReplyRow {
                    mailbox: BOX,
                    partner: PARTNER,
                    due: ReplyWindow { at: noon(day), until: noon(day) + TimeDelta::hours(1) },
                    message_id: String::new(),
                    subject: String::new(),
                    state: "lapsed",
                    reason: Some("late".to_owned()),
                    trace: None,
                };
                let id = ReplyId(tables.replies.len() as i64 + 1);
                tables.replies.insert(id, row);
            }
            PruneTarget::Cleanups => {
                drop(tables.cleanups.insert(day, CleanupRow { finished: true, ..CleanupRow::default() }))
            }
        }
    }

    /// Writes a mailbox's day that is not closed or, with `flying`, a closed day with a mail in flight.
    pub fn remember_day(&self, day: NaiveDate, flying: bool) {
        let mut tables = self.tables();
        tables.days.insert((BOX, day), DayRow { closed: flying, ..DayRow::default() });
        tables.mailboxes.get_mut(&BOX).into_iter().for_each(|mailbox| mailbox.turned = None);
        let flight = FlightRow {
            mailbox: BOX,
            partner: PARTNER,
            user: OWNER,
            day,
            round: 0,
            shard: ShardId(0),
            run: RunId(Uuid::nil()),
            batch: BatchId(0),
            message_id: String::new(),
            subject: String::new(),
            answers: None,
            limited: false,
            partner_day: None,
            reserved_at: MachineTime(Duration::ZERO),
        };
        tables.flights.extend(iter::once((FlightId(0), flight)).filter(|_| flying));
    }

    /// Moves the enrolment of all mailboxes back by `by`.
    pub fn enrolled_earlier(&self, by: TimeDelta) {
        self.tables().mailboxes.values_mut().for_each(|mailbox| mailbox.enrolled_at -= by);
    }

    /// Deletes the record of the maintenance jobs of `day`.
    pub fn forget_cleanup(&self, day: NaiveDate) {
        self.tables().cleanups.remove(&day);
    }

    /// Returns the dates of all rows of `kept`, in order.
    pub fn remembered(&self, kept: PruneTarget) -> Vec<NaiveDate> {
        let tables = self.tables();
        let mut days: Vec<NaiveDate> = match kept {
            PruneTarget::Logs => tables.logs.values().map(|row| row.day).collect(),
            PruneTarget::MailboxDays => tables.days.keys().map(|(_, day)| *day).collect(),
            PruneTarget::Events => tables.events.iter().map(|row| row.at.date_naive()).collect(),
            PruneTarget::Batches => tables.batches.values().map(|row| row.started_at.date_naive()).collect(),
            PruneTarget::Rosters => tables.rosters.keys().copied().collect(),
            PruneTarget::UserDays => tables.user_days.keys().map(|(_, day)| *day).collect(),
            PruneTarget::Pairs => tables.pairs.all().into_iter().map(|(day, ..)| day).collect(),
            PruneTarget::Pauses => tables.pauses.values().filter_map(|whole| Some(whole.until?.date_naive())).collect(),
            PruneTarget::Replies => tables.replies.values().map(|row| row.due.at.date_naive()).collect(),
            PruneTarget::Cleanups => tables.cleanups.keys().copied().collect(),
        };
        days.sort();
        days
    }
}

fn noon(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::from_hms_opt(12, 0, 0).expect("noon exists")).and_utc()
}
