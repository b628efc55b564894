//! A past on demand, so that tests of what is kept need not live through it.

use std::{iter, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{BatchRow, CleanupRow, DayRow, EventRow, FlightRow, LogRow, MemoryWorld, ReplyRow};
use crate::{
    domain::{
        duties::Kept,
        id::{BatchId, FlightId, MailboxId, ReplyId, RunId, ShardId, UserId},
        lease::MachineTime,
        outcome::standing::Whole,
        reply::Due,
    },
    ports::Roster,
};

const BOX: MailboxId = MailboxId(1);
const PARTNER: MailboxId = MailboxId(2);
const OWNER: UserId = UserId(1);

impl MemoryWorld {
    /// Writes something of `kept` of that date, over and done with.
    pub fn remember(&self, kept: Kept, day: NaiveDate) {
        let mut tables = self.tables();
        let next = i64::try_from(tables.logs.len() + tables.batches.len()).unwrap_or(i64::MAX) + 1;
        match kept {
            Kept::Logs => {
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
            Kept::MailboxDays => {
                tables.days.insert((BOX, day), DayRow { closed: true, ..DayRow::default() });
            }
            Kept::Events => tables.events.push(EventRow {
                at: noon(day),
                kind: String::new(),
                mailbox: None,
                reason: String::new(),
            }),
            Kept::Batches => {
                tables.batches.insert(BatchId(next), BatchRow { started_at: noon(day), ..BatchRow::default() });
            }
            Kept::Rosters => drop(tables.rosters.insert(day, Roster::default())),
            Kept::UserDays => drop(tables.user_days.insert((OWNER, day), 0)),
            Kept::Pairs => tables.pairs.insert(day, BOX, (PARTNER, 0)),
            Kept::Pauses => {
                let whole = Whole { until: Some(noon(day)), ..Whole::default() };
                tables.pauses.insert(("host", day.to_string()), whole);
            }
            Kept::Replies => {
                let row = ReplyRow {
                    mailbox: BOX,
                    partner: PARTNER,
                    due: Due { at: noon(day), until: noon(day) + TimeDelta::hours(1) },
                    message_id: String::new(),
                    subject: String::new(),
                    state: "lapsed",
                    reason: Some("late".to_owned()),
                    trace: None,
                };
                let id = ReplyId(tables.replies.len() as i64 + 1);
                tables.replies.insert(id, row);
            }
            Kept::Cleanups => drop(tables.cleanups.insert(day, CleanupRow { finished: true, ..CleanupRow::default() })),
        }
    }

    /// Writes a mailbox's day that is not closed or, `flying`, one that is closed and of which a mail is on its way.
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

    /// Lets all mailboxes have been enrolled so much earlier.
    pub fn enrolled_earlier(&self, by: TimeDelta) {
        self.tables().mailboxes.values_mut().for_each(|mailbox| mailbox.enrolled_at -= by);
    }

    /// Forgets that the duties of `day` were ever done.
    pub fn forget_cleanup(&self, day: NaiveDate) {
        self.tables().cleanups.remove(&day);
    }

    /// Returns the dates of what there is of `kept`, in order.
    pub fn remembered(&self, kept: Kept) -> Vec<NaiveDate> {
        let tables = self.tables();
        let mut days: Vec<NaiveDate> = match kept {
            Kept::Logs => tables.logs.values().map(|row| row.day).collect(),
            Kept::MailboxDays => tables.days.keys().map(|(_, day)| *day).collect(),
            Kept::Events => tables.events.iter().map(|row| row.at.date_naive()).collect(),
            Kept::Batches => tables.batches.values().map(|row| row.started_at.date_naive()).collect(),
            Kept::Rosters => tables.rosters.keys().copied().collect(),
            Kept::UserDays => tables.user_days.keys().map(|(_, day)| *day).collect(),
            Kept::Pairs => tables.pairs.all().into_iter().map(|(day, ..)| day).collect(),
            Kept::Pauses => tables.pauses.values().filter_map(|whole| Some(whole.until?.date_naive())).collect(),
            Kept::Replies => tables.replies.values().map(|row| row.due.at.date_naive()).collect(),
            Kept::Cleanups => tables.cleanups.keys().copied().collect(),
        };
        days.sort();
        days
    }
}

fn noon(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::from_hms_opt(12, 0, 0).expect("noon exists")).and_utc()
}
