//! What the judge keeps of a database that is set back. Its books of the record go back with the record. What hosts took
//! can't be taken back, so mails of the lost seconds are kept apart: their rows come late, or the set-back was reported.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use warmup::{
    domain::{
        id::{Epoch, FlightId, MailboxId, ReplyId, ShardId},
        time::today,
    },
    ports::Submission,
};

use super::{By, Checker, Counts, Ended, Fault, Flying, Guard};

/// The books of the record at one moment.
#[derive(Clone, Debug)]
pub struct Ledgers {
    flying: BTreeMap<FlightId, Flying>,
    ended: BTreeMap<FlightId, (Flying, Ended)>,
    counts: BTreeMap<(MailboxId, NaiveDate), Counts>,
    pairs: BTreeSet<(NaiveDate, MailboxId, MailboxId, i16)>,
    threads: BTreeMap<ReplyId, FlightId>,
    received: BTreeMap<(MailboxId, NaiveDate), u32>,
    epochs: BTreeMap<ShardId, Epoch>,
    finished_dates: BTreeSet<NaiveDate>,
    events_seen: usize,
}

/// What a set-back lost, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// By Message-ID.
    mails: BTreeMap<String, Flying>,
    /// A worker said so, or the operator fenced.
    is_reported: bool,
    /// It was set back and is not fenced.
    is_open: bool,
    fenced: BTreeSet<(MailboxId, NaiveDate)>,
    /// Of each thread that a host took an answer to: the thread's mail, and the answer.
    answers: BTreeMap<String, String>,
}

impl Lost {
    pub(super) fn is_lost(&self, message_id: &str) -> bool {
        self.mails.contains_key(message_id)
    }

    /// Says whether a mail without a row is accounted for.
    pub(super) fn is_accounted(&self, message_id: &str) -> bool {
        self.is_reported && self.is_lost(message_id)
    }

    pub(super) fn is_fenced(&self, mailbox: MailboxId, day: NaiveDate) -> bool {
        self.fenced.contains(&(mailbox, day))
    }
}

impl Checker {
    /// Copies the books of the record.
    pub fn ledgers(&self) -> Ledgers {
        let books = self.books();
        Ledgers {
            flying: books.flying.clone(),
            ended: books.ended.clone(),
            counts: books.counts.clone(),
            pairs: books.pairs.clone(),
            threads: books.threads.clone(),
            received: books.received.clone(),
            epochs: books.epochs.clone(),
            finished_dates: books.finished_dates.clone(),
            events_seen: books.events_seen,
        }
    }

    /// The record was set back to what it was when `then` was copied. Returns how many mails it lost.
    pub fn set_back(&self, then: Ledgers) -> usize {
        let lost = {
            let mut books = self.books();
            let kept = then.flying.values().chain(then.ended.values().map(|(flying, _)| flying));
            let kept: BTreeSet<String> = kept.map(|flying| flying.message_id.clone()).collect();
            let now = books.flying.values().chain(books.ended.values().map(|(flying, _)| flying));
            let lost = now.filter(|flying| !kept.contains(&flying.message_id));
            let lost: BTreeMap<String, Flying> =
                lost.map(|flying| (flying.message_id.clone(), flying.clone())).collect();
            (books.flying, books.ended, books.counts) = (then.flying, then.ended, then.counts);
            (books.pairs, books.threads, books.received) = (then.pairs, then.threads, then.received);
            (books.epochs, books.finished_dates, books.events_seen) =
                (then.epochs, then.finished_dates, then.events_seen);
            let count = lost.len();
            books.lost.mails.extend(lost);
            books.lost.is_open = true;
            count
        };
        self.fault(Fault::SetBack);
        if lost > 0 {
            self.fault(Fault::SetBackLostMails);
        }
        self.operated();
        lost
    }

    /// A worker says that the database was set back.
    pub fn recognizes_set_back(&self, who: &str, sentence: &str) {
        let is_open = {
            let mut books = self.books();
            books.lost.is_reported = true;
            books.lost.is_open
        };
        self.demand(is_open, || format!("nothing was set back, or all is fenced, and {who} says: {sentence}"));
        self.guard(Guard::SetBackRecognized, 1);
    }

    /// The operator has fenced the record.
    pub fn fenced(&self, epochs: impl IntoIterator<Item = (ShardId, Epoch)>) {
        let now = self.clock.now();
        let todays =
            self.world.mailbox_facts().into_iter().map(|mailbox| (mailbox.id, today(mailbox.schedule.zone, now)));
        {
            let mut books = self.books();
            books.epochs = epochs.into_iter().collect();
            (books.lost.is_reported, books.lost.is_open) = (true, false);
            books.lost.fenced.extend(todays);
        }
        self.after(&By::Fence);
        self.fault(Fault::Fenced);
    }

    /// Takes the rows of lost mails that were written late into the books.
    pub fn logs_lost(&self) {
        let late = self.world.logs().into_iter().filter_map(|(id, row)| {
            let books = self.books();
            let flying = books.lost.mails.get(&row.message_id).filter(|_| !books.ended.contains_key(&id))?.clone();
            Some((id, flying, Ended { status: row.status, uncertain: row.reason.as_deref() == Some("uncertain") }))
        });
        for (id, flying, ended) in late.collect::<Vec<_>>() {
            let (mailbox, day, is_reply) = (flying.mailbox, flying.day, flying.answers.is_some());
            {
                let mut books = self.books();
                let counts = books.counts.entry((mailbox, day)).or_default();
                counts.tried += u16::from(!is_reply);
                *counts.of(&ended, is_reply) += 1;
                if !is_reply {
                    books.pairs.insert((day, mailbox, flying.partner, flying.round));
                }
            }
            self.sent_only_what_was_taken(id, &flying, &ended);
            self.books().ended.insert(id, (flying, ended));
            self.compare(mailbox, day);
            self.guard(Guard::LoggedLate, 1);
        }
        self.read_events(&By::Other);
    }

    /// No thread is answered twice, whatever the record says of it.
    pub(super) fn takes_answer(&self, mail: &Submission) {
        let Some(thread) = &mail.thread else { return };
        let before = self.books().lost.answers.insert(thread.in_reply_to.clone(), mail.flight.message_id.clone());
        self.demand(before.is_none(), || format!("{} is answered by {before:?}, and again", thread.in_reply_to));
    }

    /// Returns what the books have of a mail that is on its way.
    pub(super) fn flying_mail(&self, mail: &Submission) -> Option<Flying> {
        let (id, message_id) = (mail.flight.id, &mail.flight.message_id);
        let books = self.books();
        books.flying.get(&id).filter(|flying| flying.message_id == *message_id).cloned()
    }

    pub(super) fn is_lost(&self, mail: &Submission) -> bool {
        self.books().lost.is_lost(&mail.flight.message_id)
    }
}
