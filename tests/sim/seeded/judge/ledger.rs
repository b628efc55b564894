//! What the judge sees of the ledger: the books before and after each statement.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use warmup::{
    domain::{
        clock_guard::ALLOWED,
        id::{Epoch, FlightId, MailboxId, RunId, ShardId},
        outcome::OutcomeKind,
        roster::receive_bound,
        time::today,
    },
    ports::{Flight, Refusal, Reservation, ReserveBatch, ReserveRequest, Settlement, SweepRequest},
};

use super::{Books, Checker, Ended, Flying, Guard};

/// What a worker's clock may be off by.
const SKEW_SECONDS: i64 = 30;

/// By which statement a flight may have ended.
pub enum By<'a> {
    Settle(&'a [Settlement]),
    /// A release or an abandon.
    GivenBack,
    Sweep(&'a SweepRequest),
    /// The operator's.
    Fence,
    /// One that ends nothing.
    Other,
}

impl Checker {
    /// A worker is about to ask for places.
    pub fn asks(&self, batch: &ReserveBatch) {
        for (shard, _) in &batch.epochs {
            self.holds_lease(batch.run, *shard, "a reserve");
        }
    }

    pub fn reserved(&self, batch: &ReserveBatch, answer: &[Reservation]) {
        for (ask, reservation) in batch.asks.iter().zip(answer) {
            match reservation {
                Reservation::Reserved(flight) => self.takes_off(batch, ask, flight),
                Reservation::Refused(refusal) => self.guard(refused(*refusal), 1),
            }
        }
        self.burns(batch, answer);
        self.after(&By::Other);
    }

    fn takes_off(&self, batch: &ReserveBatch, ask: &ReserveRequest, flight: &Flight) {
        let now = self.clock.now();
        let id = flight.id;
        self.demand(self.world.is_running(), || format!("a stopped fleet reserves flight {id}"));
        let off = (batch.now - now).abs();
        let may_be_off = off.num_seconds() <= SKEW_SECONDS || (off <= ALLOWED && self.jumped_just_now(&batch.worker));
        self.demand(may_be_off, || format!("flight {id} is reserved by a clock that shows {}", batch.now));
        let under = batch.epochs.iter().find(|(shard, _)| *shard == flight.shard).map(|(_, epoch)| *epoch);
        let mut wrong = Vec::new();
        let (partner_day, flooded) = self.receives(ask, flight, batch.now);
        wrong.extend(flooded);
        wrong.extend(self.rests(ask.mailbox, batch.now));
        if self.books().lost.is_fenced(ask.mailbox, ask.day) {
            wrong.push(format!("mailbox {} sends on {}, which was fenced", ask.mailbox, ask.day));
        }
        {
            let mut books = self.books();
            let epoch = books.epochs.get(&flight.shard).copied();
            if under.is_none() || under != epoch {
                wrong.push(format!(
                    "I6: flight {id} of shard {} is reserved under {under:?}, it is {epoch:?}",
                    flight.shard
                ));
            }
            if books.flying.values().any(|other| other.mailbox == ask.mailbox) {
                wrong.push(format!("mailbox {} has two mails on their way", ask.mailbox));
            }
            if books.cool.get(&ask.mailbox).is_some_and(|cool| *cool > batch.now) {
                wrong.push(format!("mailbox {} sends before it has cooled down", ask.mailbox));
            }
            if !books.message_ids.insert(flight.message_id.clone()) {
                wrong.push(format!("I4: Message-ID {} is used twice", flight.message_id));
            }
            let partner = flight.recipient.mailbox;
            let (round, used) = books.uses(ask, flight);
            wrong.extend(used);
            let flying = Flying {
                mailbox: ask.mailbox,
                partner,
                day: ask.day,
                shard: flight.shard,
                run: batch.run,
                message_id: flight.message_id.clone(),
                answers: ask.answers,
                round,
                reserved_at: now,
                partner_day,
            };
            let counts = books.counts.entry((ask.mailbox, ask.day)).or_default();
            match ask.answers {
                Some(_) => counts.answering += 1,
                None => {
                    counts.flying += 1;
                    counts.tried += 1;
                }
            }
            books.flying.insert(id, flying);
            books.last_reserved.insert(flight.shard, now);
        }
        wrong.into_iter().for_each(|wrong| self.violated(wrong));
        self.is_served(ask.mailbox);
        self.fits_quota(ask);
        self.compare(ask.mailbox, ask.day);
    }

    /// I22: counts a mail for the partner's own day. Returns that day, and what is wrong with it.
    fn receives(
        &self,
        ask: &ReserveRequest,
        flight: &Flight,
        now: DateTime<Utc>,
    ) -> (Option<NaiveDate>, Option<String>) {
        let partner = self.world.mailbox(flight.recipient.mailbox).filter(|_| ask.answers.is_none());
        let Some(partner) = partner else { return (None, None) };
        let (day, bound) = (today(partner.schedule.zone, now), receive_bound(partner.ramp.quota(partner.grown)));
        let mut books = self.books();
        let received = books.received.entry((partner.id, day)).or_default();
        *received += 1;
        let flooded = || format!("I22: mailbox {} receives {received} mails on {day}, {bound} may be", partner.id);
        (Some(day), (*received > bound).then(flooded))
    }

    /// I1, by the quota that the mailbox has now.
    fn fits_quota(&self, ask: &ReserveRequest) {
        let (Some(mailbox), Some(day)) = (self.world.mailbox(ask.mailbox), self.world.day(ask.mailbox, ask.day)) else {
            return self.violated(format!("mailbox {} sends and has no day", ask.mailbox));
        };
        let quota = mailbox.ramp.quota(mailbox.grown);
        let fits = match ask.answers {
            Some(_) => day.reply_attempts <= quota.div_ceil(2),
            None => day.reserved <= quota && day.attempts <= 2 * quota,
        };
        self.demand(fits, || format!("I1: mailbox {} has a quota of {quota} and {day:?}", ask.mailbox));
    }

    /// Looks at every flight that has ended since the last statement, and at what it changed.
    pub fn after(&self, by: &By<'_>) {
        let now: BTreeSet<FlightId> = self.world.in_flight().into_iter().collect();
        let (gone, unknown) = {
            let books = self.books();
            let gone: Vec<FlightId> = books.flying.keys().filter(|id| !now.contains(id)).copied().collect();
            let unknown: Vec<FlightId> = now.iter().filter(|id| !books.flying.contains_key(id)).copied().collect();
            (gone, unknown)
        };
        self.demand(unknown.is_empty(), || format!("flights {unknown:?} were reserved by nobody"));
        gone.into_iter().for_each(|id| self.lands(id, by));
        self.read_events(by);
    }

    fn lands(&self, id: FlightId, by: &By<'_>) {
        let row = self.world.log(id);
        let Some(flying) = self.books().flying.remove(&id) else { return };
        let status = row.as_ref().map(|row| row.status);
        let reason = row.as_ref().and_then(|row| row.reason.as_deref()).unwrap_or_default();
        let fits = match by {
            By::Settle(results) => results.iter().find(|result| is_of(result, id, &flying)).is_some_and(|result| {
                let as_sent = if flying.answers.is_some() { "REPLIED" } else { "SENT" };
                match result.outcome.fate {
                    OutcomeKind::Sent => status == Some(as_sent),
                    OutcomeKind::Refused => status == Some("FAILED") && reason != "uncertain",
                    OutcomeKind::Uncertain => status == Some("FAILED") && reason == "uncertain",
                    OutcomeKind::Unstarted => status.is_none(),
                }
            }),
            By::GivenBack => status.is_none(),
            By::Sweep(sweep) if sweep.unstarted.contains(&flying.message_id) => status.is_none(),
            By::Sweep(_) | By::Fence => status == Some("FAILED") && reason == "uncertain",
            By::Other => false,
        };
        self.demand(fits, || format!("I3: flight {id} ends as {status:?} {reason}"));
        self.opened_none(id, &flying, status.is_none());
        let ended = status.map(|status| Ended { status, uncertain: reason == "uncertain" });
        self.count(id, flying, ended);
    }

    /// I3: what leaves no row was never on a wire, and nothing of it is.
    fn opened_none(&self, id: FlightId, flying: &Flying, released: bool) {
        let taken = released && self.books().taken.contains(&flying.message_id);
        self.demand(!taken, || format!("I3: flight {id} is released, and a host took it"));
    }

    fn count(&self, id: FlightId, flying: Flying, ended: Option<Ended>) {
        let (mailbox, day) = (flying.mailbox, flying.day);
        {
            let mut books = self.books();
            books.is_not_received(&flying, ended.as_ref());
            let counts = books.counts.entry((mailbox, day)).or_default();
            match flying.answers {
                Some(_) => counts.answering -= 1,
                None => counts.flying -= 1,
            }
            counts.tried -= u16::from(ended.is_none() && flying.answers.is_none());
            match &ended {
                Some(ended) => *counts.of(ended, flying.answers.is_some()) += 1,
                None if flying.answers.is_none() => {
                    books.pairs.remove(&(day, mailbox, flying.partner, flying.round));
                }
                None => {
                    let thread = flying.answers.and_then(|thread| books.threads.remove(&thread));
                    debug_assert!(thread.is_some(), "it was noted when it was claimed");
                }
            }
        }
        if let Some(ended) = ended {
            self.sent_only_what_was_taken(id, &flying, &ended);
            self.books().ended.insert(id, (flying, ended));
        }
        self.compare(mailbox, day);
    }

    /// I5.
    pub(super) fn sent_only_what_was_taken(&self, id: FlightId, flying: &Flying, ended: &Ended) {
        let answered = ended.status == "FAILED" || self.books().answered.contains(&flying.message_id);
        self.demand(answered, || format!("I5: flight {id} is {}, and no host said so", ended.status));
    }

    /// The results of a settle that concern flights which had ended before.
    pub fn settled(&self, results: &[Settlement]) {
        let known = |result: &&Settlement| {
            self.books().ended.get(&result.flight).is_some_and(|(flying, _)| is_of(result, result.flight, flying))
        };
        let (late, fresh): (Vec<&Settlement>, Vec<_>) = results.iter().partition(known);
        self.after(&By::Settle(results));
        for result in fresh.into_iter().filter(|result| result.outcome.fate != OutcomeKind::Unstarted) {
            let mut books = self.books();
            let cool = books.cool.entry(result.mailbox).or_insert(result.next_at);
            *cool = result.next_at.max(*cool);
        }
        late.into_iter().for_each(|result| self.comes_late(result));
    }

    fn comes_late(&self, result: &Settlement) {
        let row = self.world.log(result.flight);
        let before = self.books().ended.get(&result.flight).cloned();
        let (Some(row), Some((flying, before))) = (row, before) else {
            return self.violated(format!("I3: the row of flight {} is gone", result.flight));
        };
        let after = Ended { status: row.status, uncertain: row.reason.as_deref() == Some("uncertain") };
        if after == before {
            return self.guard(Guard::SettleRepeated, 1);
        }
        self.guard(Guard::LateAnswer, 1);
        self.demand(before.uncertain && !after.uncertain, || {
            format!("I3: flight {} was {before:?} and becomes {after:?}", result.flight)
        });
        {
            let mut books = self.books();
            let counts = books.counts.entry((flying.mailbox, flying.day)).or_default();
            let reply = flying.answers.is_some();
            *counts.of(&before, reply) -= 1;
            *counts.of(&after, reply) += 1;
        }
        self.sent_only_what_was_taken(result.flight, &flying, &after);
        let (mailbox, day) = (flying.mailbox, flying.day);
        self.books().ended.insert(result.flight, (flying, after));
        self.compare(mailbox, day);
    }

    /// The row of a mailbox's day says what the books say.
    pub(super) fn compare(&self, mailbox: MailboxId, day: NaiveDate) {
        let Some(row) = self.world.day(mailbox, day) else {
            return self.violated(format!("mailbox {mailbox} has no {day}"));
        };
        let counts = self.books().counts.get(&(mailbox, day)).copied().unwrap_or_default();
        let here = (counts.sent, counts.failed, counts.uncertain, counts.replied);
        self.demand((row.sent, row.failed, row.uncertain, row.replied) == here, || {
            format!("mailbox {mailbox}: {row:?}, and here {counts:?}")
        });
        self.demand(row.attempts == counts.tried, || {
            format!("I21: mailbox {mailbox}: what never started uses an attempt: {row:?}, and here {counts:?}")
        });
        self.demand(row.reserved == counts.sent + counts.uncertain + counts.flying, || {
            format!("I1: mailbox {mailbox}: reserved = sent + uncertain + in flight: {row:?}, and here {counts:?}")
        });
    }

    /// An epoch was raised, or not.
    pub fn raised(&self, read: &[(ShardId, Epoch)], answer: &[Option<Epoch>]) {
        for ((shard, _), raised) in read.iter().zip(answer) {
            match raised {
                Some(epoch) => {
                    let before = self.books().epochs.insert(*shard, *epoch);
                    self.demand(before.is_none_or(|before| before < *epoch), || {
                        format!("the epoch of shard {shard} goes from {before:?} to {epoch}")
                    });
                }
                None => self.guard(Guard::RaiseLost, 1),
            }
        }
    }

    /// Says whether mails of this shard are on their way that another run has reserved.
    pub fn others_fly(&self, shard: ShardId, run: Option<RunId>) -> bool {
        self.books().flying.values().any(|flying| flying.shard == shard && Some(flying.run) != run)
    }

    pub fn finished(&self, day: NaiveDate, first: bool, now: DateTime<Utc>) {
        if first {
            let new = self.books().finished_dates.insert(day);
            self.demand(new, || format!("I7: the duties of {day} are finished twice, at {now}"));
        }
    }
}

impl Books {
    /// Gives back what a mail took of the partner's day that was never started, or refused.
    fn is_not_received(&mut self, flying: &Flying, ended: Option<&Ended>) {
        let given_back = ended.is_none_or(|ended| ended.status == "FAILED" && !ended.uncertain);
        if let Some(day) = flying.partner_day.filter(|_| given_back)
            && let Some(received) = self.received.get_mut(&(flying.partner, day))
        {
            *received -= 1;
        }
    }

    /// Notes the pair or the thread that a reservation uses. Returns the round of the pair, and what is wrong with it.
    fn uses(&mut self, ask: &ReserveRequest, flight: &Flight) -> (i16, Option<String>) {
        let partner = flight.recipient.mailbox;
        if partner == ask.mailbox {
            return (0, Some(format!("mailbox {partner} writes to itself")));
        }
        if let Some(thread) = ask.answers {
            let before = self.threads.insert(thread, flight.id);
            let twice = |before| format!("thread {thread} is answered by flight {} after {before}", flight.id);
            return (0, before.map(twice));
        }
        let rounds = ask.choices.iter().filter(|choice| choice.partner == partner).map(|choice| choice.round);
        let fresh = rounds.map(|round| (ask.day, ask.mailbox, partner, round)).find(|pair| !self.pairs.contains(pair));
        match fresh {
            Some(pair) => {
                self.pairs.insert(pair);
                (pair.3, None)
            }
            None => (0, Some(format!("{} writes to {partner} twice in a round", ask.mailbox))),
        }
    }
}

impl super::Counts {
    pub(super) fn of(&mut self, ended: &Ended, reply: bool) -> &mut u16 {
        match ended.status {
            "SENT" => &mut self.sent,
            "REPLIED" => &mut self.replied,
            _ if ended.uncertain && !reply => &mut self.uncertain,
            _ => &mut self.failed,
        }
    }
}

/// An id may name two mails once the database was set back.
fn is_of(result: &Settlement, id: FlightId, flying: &Flying) -> bool {
    result.flight == id && result.mail.message_id == flying.message_id
}

fn refused(refusal: Refusal) -> Guard {
    match refusal {
        Refusal::FleetStopped => Guard::RefusedFleetStopped,
        Refusal::ShardLost => Guard::RefusedShardLost,
        Refusal::SenderPaused | Refusal::HostPaused | Refusal::DomainPaused => Guard::RefusedSenderPaused,
        Refusal::NotCool => Guard::RefusedNotCool,
        Refusal::QuotaFull => Guard::RefusedQuotaFull,
        Refusal::Stale => Guard::RefusedStale,
        Refusal::NoPartner => Guard::RefusedNoPartner,
        Refusal::PartnersFull => Guard::RefusedPartnersFull,
        Refusal::UserDailyLimit => Guard::RefusedUserDailyLimit,
    }
}
