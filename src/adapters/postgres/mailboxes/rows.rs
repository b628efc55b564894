//! This module decodes the rows of a tick's statements. There are as many as a worker has mailboxes, so columns are
//! read by position and not by name, and common strings are stored once.

use std::{collections::HashSet, sync::Arc};

use chrono_tz::Tz;
use sqlx::{Column, Decode, Postgres, Row, Type, postgres::PgRow};

use super::super::classify::classify;
use crate::{
    domain::{
        id::{MailboxId, ReplyId, ShardId, UserId},
        pairing::RosterEntry,
        plan::Candidate,
        probe::Probe,
        ramp::Ramp,
        reply::{DueReply, ReplyWindow},
        time::{LocalDates, Schedule, Weekdays, Window},
    },
    ports::PortError,
};

/// A `StringInterner` stores strings that many rows share once: hosts, domains.
#[derive(Debug, Default)]
pub(super) struct StringInterner(HashSet<Arc<str>>);

impl StringInterner {
    fn shared(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.0.get(word) {
            return Arc::clone(known);
        }
        let new: Arc<str> = word.into();
        self.0.insert(Arc::clone(&new));
        new
    }

    /// Returns the string in lower case. Nearly all are already; `lower` in Postgres took a third of a statement's
    /// time.
    fn lowered(&mut self, word: &str) -> Arc<str> {
        match word.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
            true => self.shared(word),
            false => self.shared(&word.to_lowercase()),
        }
    }
}

/// `Columns` reads the columns of a row in order.
struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    fn of(row: &'r PgRow) -> Columns<'r> {
        Columns { row, next: 0 }
    }

    fn next<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> Result<T, PortError> {
        let value = self.row.try_get(self.next).map_err(classify)?;
        self.next += 1;
        Ok(value)
    }

    /// Reads a smallint that the schema keeps from being negative.
    fn small(&mut self) -> Result<u16, PortError> {
        let (at, value) = (self.next, self.next::<i16>()?);
        u16::try_from(value).map_err(|_| PortError::Permanent(format!("{} is negative", self.row.column(at).name())))
    }

    fn word(&mut self, words: &mut StringInterner) -> Result<Arc<str>, PortError> {
        Ok(words.shared(self.next()?))
    }

    fn host(&mut self, words: &mut StringInterner) -> Result<Arc<str>, PortError> {
        Ok(words.lowered(self.next()?))
    }

    /// Reads the probe key and whether the mailbox was let in before; both are NULL for most mailboxes.
    fn probe(&mut self, words: &mut StringInterner) -> Result<Option<Probe>, PortError> {
        let (key, was_let_in): (Option<&str>, Option<bool>) = (self.next()?, self.next()?);
        Ok(key.map(|key| Probe { key: words.shared(key), was_let_in: was_let_in.unwrap_or_default() }))
    }

    fn zone(&mut self) -> Result<Tz, PortError> {
        self.next::<&str>()?.parse().map_err(|_| wrong("an unknown time zone"))
    }
}

fn wrong(what: &str) -> PortError {
    PortError::Permanent(format!("a mailbox has {what}"))
}

/// Decodes a row of `candidates.sql`.
pub(super) fn candidate(row: &PgRow, todays: &LocalDates, words: &mut StringInterner) -> Result<Candidate, PortError> {
    let mut columns = Columns::of(row);
    let (id, user, shard) = (MailboxId(columns.next()?), UserId(columns.next()?), ShardId(columns.next()?));
    let (domain, host, verified) = (columns.word(words)?, columns.host(words)?, columns.next()?);
    let (zone, day) = todays.of_place(columns.next()?).ok_or_else(|| wrong("an unknown time zone"))?;
    let window = Window::new(columns.small()?, columns.small()?).ok_or_else(|| wrong("an impossible window"))?;
    let days = u8::try_from(columns.small()?).ok().and_then(Weekdays::from_bits);
    Ok(Candidate {
        id,
        user,
        shard,
        domain,
        verified,
        host,
        schedule: Schedule { zone, window, days: days.ok_or_else(|| wrong("impossible weekdays"))? },
        ramp: Ramp { start: columns.small()?, step: columns.small()?, daily_max: columns.small()? },
        grown: columns.small()?,
        day,
        reserved: columns.small()?,
        sent: columns.small()?,
        attempts: columns.small()?,
        next_at: columns.next()?,
        last_sent_at: columns.next()?,
        enrolled_at: columns.next()?,
        failed_in_row: columns.small()?,
        probe: columns.probe(words)?,
    })
}

/// Decodes a row of `due_replies.sql`.
pub(super) fn due_reply(row: &PgRow, words: &mut StringInterner) -> Result<DueReply, PortError> {
    let mut columns = Columns::of(row);
    Ok(DueReply {
        id: ReplyId(columns.next()?),
        mailbox: MailboxId(columns.next()?),
        user: UserId(columns.next()?),
        shard: ShardId(columns.next()?),
        domain: columns.word(words)?,
        host: columns.host(words)?,
        zone: columns.zone()?,
        partner: MailboxId(columns.next()?),
        message_id: columns.next()?,
        subject: columns.next()?,
        due: ReplyWindow { at: columns.next()?, until: columns.next()? },
        trace: columns.next()?,
        next_at: columns.next()?,
    })
}

/// Decodes a mailbox of a roster.
pub(super) fn member(row: &PgRow, words: &mut StringInterner) -> Result<RosterEntry, PortError> {
    let mut columns = Columns::of(row);
    Ok(RosterEntry {
        mailbox: MailboxId(columns.next()?),
        user: UserId(columns.next()?),
        domain: columns.word(words)?,
        quota: columns.small()?,
        verified: columns.next()?,
    })
}
