//! `close` ends flights in the one way that `close.sql` defines.
//!
//! It writes the log row, updates the counters, schedules the reply and applies the penalties (`close/penalties.rs`).

mod penalties;

use chrono::{DateTime, Utc};

use self::penalties::Welcome;
use crate::{
    domain::{
        id::{BatchId, FlightId, ReplyId},
        outcome::{Effects, Outcome, OutcomeKind, Stage},
        reply::ReplyWindow,
    },
    simulation::database::{DayRow, FlightRow, LogRow, ReplyRow, Tables},
};

/// The reason of a row that a late definite answer may correct.
const UNCERTAIN: &str = "uncertain";

/// The end of one flight.
pub(super) struct Ending {
    pub(super) flight: FlightId,
    /// The Message-ID of a result, because an id may name another mail after a set-back.
    pub(super) message_id: Option<String>,
    /// The batch of a result, which may arrive after its flight is gone.
    pub(super) batch: Option<BatchId>,
    pub(super) outcome: Outcome,
    pub(super) at: DateTime<Utc>,
    pub(super) next_at: Option<DateTime<Utc>>,
    /// The reply to schedule.
    pub(super) reply: Option<ReplyWindow>,
    pub(super) trace: Option<String>,
    pub(super) is_reduced: bool,
}

/// The numbers of changed, uncertain and released flights.
#[derive(Default)]
pub(super) struct Closed {
    pub(super) changed: u64,
    pub(super) uncertain: u64,
    pub(super) released: u64,
}

impl Ending {
    pub(super) fn unstarted(flight: FlightId, at: DateTime<Utc>) -> Ending {
        Ending::without_reply(flight, at, OutcomeKind::Unstarted)
    }

    pub(super) fn orphaned(flight: FlightId, at: DateTime<Utc>) -> Ending {
        Ending::without_reply(flight, at, OutcomeKind::Uncertain)
    }

    fn is_of(&self, message_id: &str) -> bool {
        self.message_id.as_deref().is_none_or(|own| own == message_id)
    }

    fn without_reply(flight: FlightId, at: DateTime<Utc>, fate: OutcomeKind) -> Ending {
        let (effects, note) = (Effects::default(), String::new());
        let outcome = Outcome { fate, stage: Stage::Dot, reason: "", reply: None, effects, note };
        Ending {
            flight,
            message_id: None,
            batch: None,
            outcome,
            at,
            next_at: None,
            reply: None,
            trace: None,
            is_reduced: false,
        }
    }
}

/// Ends flights. A flight that is gone is not changed, unless its row is uncertain.
pub(super) fn close(tables: &mut Tables, mut ends: Vec<Ending>) -> Closed {
    let mut closed = Closed::default();
    ends.sort_by_key(|end| (end.at, end.flight));
    let welcome = tables.welcome(&ends);
    tables.note_answers(&welcome);
    for end in ends {
        if tables.flights.get(&end.flight).is_some_and(|row| end.is_of(&row.message_id))
            && let Some(row) = tables.flights.remove(&end.flight)
        {
            tables.flying.remove(&row.mailbox);
            closed.changed += 1;
            closed.uncertain += u64::from(end.is(OutcomeKind::Uncertain));
            closed.released += u64::from(end.is(OutcomeKind::Unstarted));
            tables.land(&end, row, &welcome);
        } else if tables.correct(&end, &welcome) {
            closed.changed += 1;
        }
    }
    tables.recover_hosts(welcome);
    closed
}

impl Tables {
    fn land(&mut self, end: &Ending, row: FlightRow, welcome: &Welcome) {
        let given_back = end.is(OutcomeKind::Refused) || end.is(OutcomeKind::Unstarted);
        let day = self.days.entry((row.mailbox, row.day)).or_default();
        match row.answers {
            Some(_) => count_reply(day, end),
            None => count_mail(day, end),
        }
        if !end.is(OutcomeKind::Unstarted) {
            day.next_at = day.next_at.max(end.next_at);
        }
        if row.limited && given_back {
            *self.user_days.entry((row.user, row.day)).or_default() -= 1;
        }
        if let Some(received) =
            row.partner_day.and_then(|day| self.received.get_mut(&(day, row.partner))).filter(|_| given_back)
        {
            *received -= 1;
        }
        self.count_in_batch(end, Some(row.batch), false);
        self.end_thread(end, row.answers);
        if end.is(OutcomeKind::Unstarted) {
            if row.answers.is_none() {
                self.pairs.remove(row.day, row.mailbox, (row.partner, row.round));
            }
            return;
        }
        let (status, reason) = status(&end.outcome, row.answers);
        let log = LogRow {
            day: row.day,
            mailbox: row.mailbox,
            partner: row.partner,
            message_id: row.message_id,
            status,
            reason,
            subject: row.subject,
            answers: row.answers,
        };
        self.schedule_reply(end, &log);
        self.count(end.at, &log);
        if !self.forgets || end.is(OutcomeKind::Uncertain) {
            self.logs.insert(end.flight, log);
        }
        self.apply_penalties(end, row.mailbox, row.partner, welcome);
    }

    fn count_in_batch(&mut self, end: &Ending, batch: Option<BatchId>, late: bool) {
        let Some((id, batch)) = batch.and_then(|id| Some((id, self.batches.get_mut(&id)?))) else { return };
        batch.uncertain -= u16::from(late);
        match end.outcome.fate {
            OutcomeKind::Sent => batch.sent += 1,
            OutcomeKind::Refused => batch.failed += 1,
            OutcomeKind::Uncertain => batch.uncertain += 1,
            OutcomeKind::Unstarted => batch.released += 1,
        }
        batch.finished |= batch.sent + batch.failed + batch.uncertain + batch.released >= batch.processed;
        if batch.finished && self.forgets {
            self.batches.remove(&id);
        }
    }

    /// Corrects an uncertain row by its late definite answer. Returns whether it did.
    fn correct(&mut self, end: &Ending, welcome: &Welcome) -> bool {
        let uncertain = |row: &&mut LogRow| row.reason.as_deref() == Some(UNCERTAIN) && end.is_of(&row.message_id);
        let definite = end.is(OutcomeKind::Sent) || end.is(OutcomeKind::Refused);
        let Some(row) = self.logs.get_mut(&end.flight).filter(uncertain).filter(|_| definite) else { return false };
        (row.status, row.reason) = status(&end.outcome, row.answers);
        let log = row.clone();
        let (mailbox, partner, date) = (log.mailbox, log.partner, log.day);
        let day = self.days.entry((mailbox, date)).or_default();
        day.failed_in_row = day.failed_in_row.saturating_sub(1);
        match log.answers {
            Some(_) => {
                day.failed -= 1;
                count_reply(day, end);
            }
            None => {
                day.uncertain -= 1;
                count_mail(day, end);
            }
        }
        self.end_thread(end, log.answers);
        self.schedule_reply(end, &log);
        self.tally.corrected();
        self.count(end.at, &log);
        self.count_in_batch(end, end.batch, true);
        self.apply_penalties(end, mailbox, partner, welcome);
        true
    }

    /// Ends the thread that a reply answers. Only a reply that was not started may be tried again.
    fn end_thread(&mut self, end: &Ending, answers: Option<ReplyId>) {
        let Some(reply) = answers else { return };
        match end.outcome.fate {
            OutcomeKind::Sent => self.end_reply(reply, "sent", None),
            OutcomeKind::Unstarted => self.wait_again(reply),
            OutcomeKind::Refused | OutcomeKind::Uncertain => {
                self.end_reply(reply, "failed", status(&end.outcome, answers).1)
            }
        }
    }

    /// Schedules the reply that the random decision requires. A reply is never answered.
    fn schedule_reply(&mut self, end: &Ending, log: &LogRow) {
        let Some(due) = end.reply.filter(|_| end.is(OutcomeKind::Sent) && log.answers.is_none()) else { return };
        let reply = ReplyRow {
            mailbox: log.partner,
            partner: log.mailbox,
            due,
            message_id: log.message_id.clone(),
            subject: log.subject.clone(),
            state: "waiting",
            reason: None,
            trace: end.trace.clone(),
        };
        self.schedule(ReplyId(end.flight.0), reply);
    }
}

fn count_mail(day: &mut DayRow, end: &Ending) {
    day.sent += u16::from(end.is(OutcomeKind::Sent));
    day.failed += u16::from(end.is(OutcomeKind::Refused));
    day.uncertain += u16::from(end.is(OutcomeKind::Uncertain));
    day.reserved -= u16::from(end.is(OutcomeKind::Refused) || end.is(OutcomeKind::Unstarted));
    day.attempts -= u16::from(end.is(OutcomeKind::Unstarted));
    count_in_row(day, end);
    if end.is(OutcomeKind::Sent) {
        day.last_sent_at = day.last_sent_at.max(Some(end.at));
    }
}

/// Counts a reply. An uncertain reply counts as failed, because `uncertain` is a part of `reserved` and a reply takes
/// no quota slot.
fn count_reply(day: &mut DayRow, end: &Ending) {
    day.replied += u16::from(end.is(OutcomeKind::Sent));
    day.failed += u16::from(end.is(OutcomeKind::Refused) || end.is(OutcomeKind::Uncertain));
    day.reply_attempts -= u16::from(end.is(OutcomeKind::Unstarted));
    count_in_row(day, end);
}

fn count_in_row(day: &mut DayRow, end: &Ending) {
    match end.outcome.fate {
        OutcomeKind::Sent => day.failed_in_row = 0,
        OutcomeKind::Refused | OutcomeKind::Uncertain => day.failed_in_row += 1,
        OutcomeKind::Unstarted => {}
    }
}

pub(super) fn status(outcome: &Outcome, answers: Option<ReplyId>) -> (&'static str, Option<String>) {
    match outcome.fate {
        OutcomeKind::Sent if answers.is_some() => ("REPLIED", None),
        OutcomeKind::Sent => ("SENT", None),
        OutcomeKind::Uncertain => ("FAILED", Some(UNCERTAIN.to_owned())),
        _ => ("FAILED", Some(outcome.reason.to_owned())),
    }
}
