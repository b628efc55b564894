//! The one way in which a flight ends, as `close.sql` has it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    adapters::memory::world::{DayRow, FlightRow, LogRow, ReplyRow, Standing, Tables},
    domain::{
        id::{BatchId, FlightId, MailboxId, ReplyId},
        outcome::{Effects, Fate, Measure, Outcome, Stage},
        reply::Due,
    },
};

/// The word by which a late answer finds the row that it may correct.
const UNCERTAIN: &str = "uncertain";

/// How one flight ends.
pub(super) struct Ending {
    pub(super) flight: FlightId,
    /// Known for a result that may come late, after its flight is gone.
    pub(super) batch: Option<BatchId>,
    pub(super) outcome: Outcome,
    pub(super) at: DateTime<Utc>,
    pub(super) next_at: Option<DateTime<Utc>>,
    /// When the partner answers.
    pub(super) reply: Option<Due>,
}

/// What closing did.
#[derive(Default)]
pub(super) struct Closed {
    pub(super) changed: u64,
    pub(super) uncertain: u64,
    pub(super) released: u64,
}

impl Ending {
    pub(super) fn unstarted(flight: FlightId, at: DateTime<Utc>) -> Ending {
        Ending::without_reply(flight, at, Fate::Unstarted)
    }

    pub(super) fn orphaned(flight: FlightId, at: DateTime<Utc>) -> Ending {
        Ending::without_reply(flight, at, Fate::Uncertain)
    }

    fn without_reply(flight: FlightId, at: DateTime<Utc>, fate: Fate) -> Ending {
        let (effects, note) = (Effects::default(), String::new());
        let outcome = Outcome { fate, stage: Stage::Dot, reason: "", reply: None, effects, note };
        Ending { flight, batch: None, outcome, at, next_at: None, reply: None }
    }
}

/// Ends flights. One that is gone and whose row is not uncertain is left alone.
pub(super) fn close(tables: &mut Tables, ends: Vec<Ending>) -> Closed {
    let mut closed = Closed::default();
    for end in ends {
        if let Some(row) = tables.flights.remove(&end.flight) {
            closed.changed += 1;
            closed.uncertain += u64::from(end.is(Fate::Uncertain));
            closed.released += u64::from(end.is(Fate::Unstarted));
            tables.land(&end, &row);
        } else if tables.correct(&end) {
            closed.changed += 1;
        }
    }
    closed
}

impl Tables {
    fn land(&mut self, end: &Ending, row: &FlightRow) {
        let given_back = end.is(Fate::Refused) || end.is(Fate::Unstarted);
        let day = self.days.entry((row.mailbox, row.day)).or_default();
        match row.answers {
            Some(_) => count_reply(day, end),
            None => count_mail(day, end),
        }
        if !end.is(Fate::Unstarted) {
            day.next_at = day.next_at.max(end.next_at);
        }
        if row.limited && given_back {
            *self.user_days.entry((row.user, row.day)).or_default() -= 1;
        }
        self.count_in_batch(end, Some(row.batch), false);
        self.end_thread(end, row.answers);
        if end.is(Fate::Unstarted) {
            if row.answers.is_none() {
                self.pairs.remove(&(row.day, row.mailbox, row.partner, row.round));
            }
            return;
        }
        let (status, reason) = status(&end.outcome, row.answers);
        let log = LogRow {
            day: row.day,
            mailbox: row.mailbox,
            partner: row.partner,
            message_id: row.message_id.clone(),
            status,
            reason,
            subject: row.subject.clone(),
            answers: row.answers,
        };
        self.schedule_reply(end, &log);
        self.logs.insert(end.flight, log);
        self.take_measures(end, row.mailbox, row.partner);
    }

    fn count_in_batch(&mut self, end: &Ending, batch: Option<BatchId>, late: bool) {
        let Some(batch) = batch.and_then(|batch| self.batches.get_mut(&batch)) else { return };
        batch.uncertain -= u16::from(late);
        match end.outcome.fate {
            Fate::Sent => batch.sent += 1,
            Fate::Refused => batch.failed += 1,
            Fate::Uncertain => batch.uncertain += 1,
            Fate::Unstarted => batch.released += 1,
        }
        batch.finished |= batch.sent + batch.failed + batch.uncertain + batch.released >= batch.processed;
    }

    /// A late definite answer corrects its own uncertain row. Returns whether it did.
    fn correct(&mut self, end: &Ending) -> bool {
        let uncertain = |row: &&mut LogRow| row.reason.as_deref() == Some(UNCERTAIN);
        let definite = end.is(Fate::Sent) || end.is(Fate::Refused);
        let Some(row) = self.logs.get_mut(&end.flight).filter(uncertain).filter(|_| definite) else { return false };
        (row.status, row.reason) = status(&end.outcome, row.answers);
        let log = row.clone();
        let (mailbox, partner, date) = (log.mailbox, log.partner, log.day);
        let day = self.days.entry((mailbox, date)).or_default();
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
        self.count_in_batch(end, end.batch, true);
        self.take_measures(end, mailbox, partner);
        true
    }

    /// The thread that a reply answers: one that was never started may be answered by another attempt, no other.
    fn end_thread(&mut self, end: &Ending, answers: Option<ReplyId>) {
        let Some(row) = answers.and_then(|reply| self.replies.get_mut(&reply)) else { return };
        (row.state, row.reason) = match end.outcome.fate {
            Fate::Sent => ("sent", None),
            Fate::Unstarted => ("waiting", None),
            Fate::Refused | Fate::Uncertain => ("failed", status(&end.outcome, answers).1),
        };
    }

    /// What the dice asked for. Never an answer to an answer.
    fn schedule_reply(&mut self, end: &Ending, log: &LogRow) {
        let Some(due) = end.reply.filter(|_| end.is(Fate::Sent) && log.answers.is_none()) else { return };
        self.replies.entry(ReplyId(end.flight.0)).or_insert_with(|| ReplyRow {
            mailbox: log.partner,
            partner: log.mailbox,
            due,
            message_id: log.message_id.clone(),
            subject: log.subject.clone(),
            state: "waiting",
            reason: None,
        });
    }

    /// Whom the answer concerns.
    fn take_measures(&mut self, end: &Ending, sender: MailboxId, partner: MailboxId) {
        let Effects { sender: on_sender, partner: on_partner, host, domain } = end.outcome.effects;
        let reason = end.outcome.reason;
        if let Some((measure, mailbox)) = on_sender.zip(self.mailboxes.get_mut(&sender))
            && stand(&mut mailbox.sending, measure, end.at, reason)
        {
            self.tell(kind("sender", "disabled", measure), Some(sender), reason);
        }
        if let Some((measure, mailbox)) = on_partner.zip(self.mailboxes.get_mut(&partner))
            && stand(&mut mailbox.receiving, measure, end.at, reason)
        {
            self.tell(kind("partner", "excluded", measure), Some(partner), reason);
        }
        let Some(mailbox) = self.mailboxes.get(&sender).cloned() else { return };
        let names = [("host", mailbox.endpoint.host.to_lowercase(), host), ("domain", mailbox.domain(), domain)];
        for (scope, name, measure) in names {
            let Some(until) = measure.map(|measure| end_of(measure, end.at)) else { continue };
            if self.pauses.get(&(scope, name.clone())).is_none_or(|before| *before < until) {
                self.pauses.insert((scope, name), until);
                self.tell(format!("{scope}-paused"), None, reason);
            }
        }
    }
}

fn count_mail(day: &mut DayRow, end: &Ending) {
    day.sent += u16::from(end.is(Fate::Sent));
    day.failed += u16::from(end.is(Fate::Refused));
    day.uncertain += u16::from(end.is(Fate::Uncertain));
    day.reserved -= u16::from(end.is(Fate::Refused) || end.is(Fate::Unstarted));
    if end.is(Fate::Sent) {
        day.last_sent_at = day.last_sent_at.max(Some(end.at));
    }
}

/// A reply takes no place of the quota, so one that nobody knows the end of counts as failed: `uncertain` is a part of
/// `reserved`.
fn count_reply(day: &mut DayRow, end: &Ending) {
    day.replied += u16::from(end.is(Fate::Sent));
    day.failed += u16::from(end.is(Fate::Refused) || end.is(Fate::Uncertain));
    day.reply_attempts -= u16::from(end.is(Fate::Unstarted));
}

fn status(outcome: &Outcome, answers: Option<ReplyId>) -> (&'static str, Option<String>) {
    match outcome.fate {
        Fate::Sent if answers.is_some() => ("REPLIED", None),
        Fate::Sent => ("SENT", None),
        Fate::Uncertain => ("FAILED", Some(UNCERTAIN.to_owned())),
        _ => ("FAILED", Some(outcome.reason.to_owned())),
    }
}

fn kind(whom: &str, for_good: &str, measure: Measure) -> String {
    match measure {
        Measure::Pause(_) => format!("{whom}-paused"),
        Measure::Disable => format!("{whom}-{for_good}"),
    }
}

/// Only what ends later than what is there changes anything. Returns whether it did.
fn stand(standing: &mut Standing, measure: Measure, at: DateTime<Utc>, reason: &str) -> bool {
    let (end, reason) = (end_of(measure, at), reason.to_owned());
    let changes = match &*standing {
        Standing::Active => true,
        Standing::Paused { until, .. } => *until < end,
        Standing::Stopped { by_operator, .. } => *by_operator && measure == Measure::Disable,
    };
    if changes {
        *standing = match measure {
            Measure::Pause(_) => Standing::Paused { until: end, reason },
            Measure::Disable => Standing::Stopped { reason, by_operator: false },
        };
    }
    changes
}

fn end_of(measure: Measure, at: DateTime<Utc>) -> DateTime<Utc> {
    let end = match measure {
        Measure::Pause(time) => TimeDelta::from_std(time).ok().and_then(|time| at.checked_add_signed(time)),
        Measure::Disable => None,
    };
    end.unwrap_or(DateTime::<Utc>::MAX_UTC)
}
