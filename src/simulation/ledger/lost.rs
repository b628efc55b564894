//! `Tables::log_lost` writes the rows of mails that the database has lost, as `log_lost.sql` does.

use chrono::{DateTime, Utc};

use super::close::status;
use crate::{
    domain::{
        id::{FlightId, ReplyId},
        outcome::OutcomeKind,
        time::today,
    },
    ports::Settlement,
    simulation::database::{DayRow, LogRow, Tables},
};

impl Tables {
    /// Writes the row of each result without a flight and without a row. A database that drops finished rows can't
    /// detect such results, and writes none.
    pub(super) fn log_lost(&mut self, results: &[Settlement], now: DateTime<Utc>) -> u64 {
        let mut written = 0;
        for result in results {
            if !self.forgets && result.outcome.fate != OutcomeKind::Unstarted && !self.knows(result) {
                self.log_late(result, now);
                written += 1;
            }
        }
        if written > 0 {
            self.tell("ledger-set-back", None, "set-back");
        }
        written
    }

    fn knows(&self, result: &Settlement) -> bool {
        let message_id = &result.mail.message_id;
        self.late_mails.contains(message_id)
            || self.flights.values().any(|row| row.message_id == *message_id)
            || self.logs.get(&result.flight).is_some_and(|row| row.message_id == *message_id)
    }

    fn log_late(&mut self, result: &Settlement, now: DateTime<Utc>) {
        let (mail, key) = (&result.mail, (result.mailbox, result.day));
        let quota = self.mailboxes.get(&result.mailbox).map_or(0, |mailbox| mailbox.quota());
        let day = self.days.entry(key).or_insert_with(|| DayRow { quota, ..DayRow::default() });
        let (is_mail, fate) = (mail.answers.is_none(), result.outcome.fate);
        let counts = is_mail && matches!(fate, OutcomeKind::Sent | OutcomeKind::Uncertain);
        day.sent += u16::from(is_mail && fate == OutcomeKind::Sent);
        day.uncertain += u16::from(is_mail && fate == OutcomeKind::Uncertain);
        day.replied += u16::from(!is_mail && fate == OutcomeKind::Sent);
        day.failed += u16::from(fate == OutcomeKind::Refused || (!is_mail && fate == OutcomeKind::Uncertain));
        day.reserved += u16::from(counts);
        day.attempts += u16::from(is_mail);
        day.reply_attempts += u16::from(!is_mail);
        day.next_at = day.next_at.max(Some(result.next_at));
        if is_mail && fate == OutcomeKind::Sent {
            day.last_sent_at = day.last_sent_at.max(Some(result.at));
        }
        if is_mail {
            self.pairs.insert(result.day, result.mailbox, (result.partner, mail.round));
        }
        if self.limits.contains_key(&mail.user) && matches!(fate, OutcomeKind::Sent | OutcomeKind::Uncertain) {
            *self.user_days.entry((mail.user, result.day)).or_default() += 1;
        }
        if let Some(partner) = self.mailboxes.get(&result.partner).filter(|_| counts) {
            let day = today(partner.schedule.zone, now);
            *self.received.entry((day, result.partner)).or_default() += 1;
        }
        let (status, reason) = status(&result.outcome, mail.answers);
        let thread = mail.answers.filter(|id| self.is_thread(*id, mail.thread.as_deref()));
        if let Some(id) = thread.filter(|id| matches!(self.replies[id].state, "waiting" | "lapsed")) {
            let state = if fate == OutcomeKind::Sent { "sent" } else { "failed" };
            self.end_reply(id, state, reason.clone());
        }
        self.last_flight += 1;
        self.late_mails.insert(mail.message_id.clone());
        let row = LogRow {
            day: result.day,
            mailbox: result.mailbox,
            partner: result.partner,
            message_id: mail.message_id.clone(),
            status,
            reason,
            subject: mail.subject.clone(),
            // If the thread is lost too, 0 only records that the mail was a reply.
            answers: mail.answers.map(|_| thread.unwrap_or(ReplyId(0))),
        };
        self.logs.insert(FlightId(self.last_flight), row);
    }

    fn is_thread(&self, id: ReplyId, message_id: Option<&str>) -> bool {
        self.replies.get(&id).is_some_and(|row| Some(row.message_id.as_str()) == message_id)
    }
}
