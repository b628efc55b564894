//! `MemoryDatabase` implements the ledger in memory, with the conditions of `adapters/postgres/sql` in their order.

mod close;
mod fence;
mod lost;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use self::close::{Ending, close};
use super::database::{BatchRow, DayRow, Enrolled, FlightRow, MemoryDatabase, ReplyRow, Tables};
use crate::{
    domain::{
        daily_room::UserDay,
        id::{BatchId, Epoch, FlightId, MailboxId, ReplyId, RunId, ShardId, UserId, WorkerId},
        lease::MachineTime,
        ledger_mark::{LedgerState, SettledMail},
        outcome::OutcomeKind,
    },
    ports::{
        FleetControl, Flight, Heartbeat, Ledger, LedgerPulse, Participant, PartnerOption, PortError, Refusal,
        Reservation, ReserveBatch, ReserveRequest, Settlement, SweepReport, SweepRequest,
    },
};

#[async_trait]
impl FleetControl for MemoryDatabase {
    async fn running(&self) -> Result<bool, PortError> {
        self.statement(|tables| tables.running)
    }

    async fn plan_requests(&self) -> Result<Vec<(ShardId, i64)>, PortError> {
        self.statement(|tables| tables.plan_requests.iter().map(|(shard, requests)| (*shard, *requests)).collect())
    }

    async fn stop_set_back(&self, _worker: &WorkerId, _sentence: &str, _now: DateTime<Utc>) -> Result<(), PortError> {
        self.write(|tables| {
            if !tables.is_set_back {
                (tables.running, tables.is_set_back) = (false, true);
                tables.tell("fleet-stopped", None, "set-back");
            }
        })
    }
}

fn unknown_shard() -> PortError {
    PortError::Permanent("a shard that does not exist".into())
}

#[async_trait]
impl Ledger for MemoryDatabase {
    async fn prepare(&self, _now: DateTime<Utc>) -> Result<(), PortError> {
        self.statement(|_| ())
    }

    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<LedgerPulse, PortError> {
        let epochs = self.write(|tables| {
            tables.tell_heartbeat(heartbeat);
            tables.epochs(&heartbeat.shards)
        })?;
        Ok(LedgerPulse { epochs: epochs.ok_or_else(unknown_shard)?, now: self.clock.now() })
    }

    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError> {
        self.statement(|tables| tables.epochs(shards))?.ok_or_else(unknown_shard)
    }

    async fn shards_of(&self, worker: &WorkerId) -> Result<Vec<ShardId>, PortError> {
        self.statement(|tables| {
            let owned = tables.shards.iter().filter(|(_, (_, owner))| owner.as_ref() == Some(worker));
            owned.map(|(shard, _)| *shard).collect()
        })
    }

    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError> {
        self.write(|tables| read.iter().map(|(shard, epoch)| tables.raise(worker, *shard, *epoch)).collect())
    }

    async fn daily_room(&self, users: &[UserId], days: &[NaiveDate]) -> Result<Vec<UserDay>, PortError> {
        self.statement(|tables| {
            let limited = users.iter().filter_map(|user| Some((*user, *tables.limits.get(user)?)));
            let of_day = |user: UserId, limit: u32, day: NaiveDate| {
                let reserved = tables.user_days.get(&(user, day)).copied().unwrap_or_default();
                UserDay { user, day, left: stretched(limit, self.user_daily_cap).saturating_sub(reserved) }
            };
            limited.flat_map(|(user, limit)| days.iter().map(move |day| of_day(user, limit, *day))).collect()
        })
    }

    async fn note_slow_hosts(&self, worker: &WorkerId, hosts: &[String], _now: DateTime<Utc>) -> Result<(), PortError> {
        self.statement(|tables| tables.note_slow_hosts(worker, hosts))
    }

    async fn state(&self, settled: Option<&SettledMail>) -> Result<LedgerState, PortError> {
        self.statement(|tables| LedgerState {
            fence: tables.fence,
            flight: tables.last_flight,
            shards: tables.shards.len() as i64,
            epochs: tables.shards.values().map(|(epoch, _)| epoch.0).sum(),
            has_settled: tables.forgets || settled.is_none_or(|mail| tables.logs.contains_key(&FlightId(mail.log_id))),
        })
    }

    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError> {
        let now = self.clock.machine();
        self.write(|tables| {
            let checked: Vec<Result<Accepted, Refusal>> =
                batch.asks.iter().map(|ask| tables.check(batch, ask)).collect();
            tables.lapse_refused(batch, &checked);
            let checked = tables.within_bounds(checked);
            let accepted = tables.within_limits(checked, self.user_daily_cap);
            let id = tables.open_batch(accepted.iter().flatten().count());
            let pairs = batch.asks.iter().zip(accepted);
            pairs
                .map(|(ask, accepted)| match accepted {
                    Ok(accepted) => {
                        let flight = tables.take_off(batch, ask, accepted, (id, now, self.user_daily_cap));
                        Reservation::Reserved(Box::new(flight))
                    }
                    Err(refusal) => Reservation::Refused(refusal),
                })
                .collect()
        })
    }

    async fn release(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.write(|tables| {
            let asked = |row: &FlightRow| row.run == run && message_ids.contains(&row.message_id);
            let flights = tables.flights.iter().filter(|(_, row)| asked(row));
            let ends = flights.map(|(flight, _)| Ending::unstarted(*flight, now)).collect();
            close(tables, ends).released
        })
    }

    async fn settle(&self, _worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError> {
        self.write(|tables| close(tables, results.iter().map(Ending::settled).collect()).changed)
    }

    async fn log_lost(&self, _worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Result<u64, PortError> {
        self.write(|tables| tables.log_lost(results, now))
    }

    async fn sweep(&self, sweep: &SweepRequest) -> Result<SweepReport, PortError> {
        let now = self.clock.machine();
        self.write(|tables| {
            let unstarted = |row: &FlightRow| row.run == sweep.run && sweep.unstarted.contains(&row.message_id);
            let runs = |id: &FlightId, row: &FlightRow| {
                row.run == sweep.run && (sweep.running.contains(&row.message_id) || *id > sweep.newest)
            };
            let orphaned = |id: &FlightId, row: &FlightRow| {
                unstarted(row)
                    || (sweep.shards.contains(&row.shard)
                        && !runs(id, row)
                        && now.since(row.reserved_at) > sweep.older_than)
            };
            let ends = tables
                .flights
                .iter()
                .filter(|(id, row)| orphaned(id, row))
                .map(|(id, row)| match unstarted(row) {
                    true => Ending::unstarted(*id, sweep.now),
                    false => Ending::orphaned(*id, sweep.now),
                })
                .collect();
            let closed = close(tables, ends);
            SweepReport { uncertain: closed.uncertain, released: closed.released }
        })
    }
}

/// Returns the number of mails per day that a user's limit allows.
fn stretched(limit: u32, stretch: f64) -> u32 {
    (f64::from(limit) * stretch).floor() as u32
}

/// A request that meets all conditions but the limits of its user and its partner.
#[derive(Clone, Copy)]
struct Accepted {
    user: UserId,
    day: NaiveDate,
    choice: PartnerOption,
    quota: u16,
    limited: bool,
    /// For a mail: the partner's own day, and the number of mails that it may still receive on that day.
    receives: Option<(NaiveDate, u32)>,
}

impl Tables {
    /// Returns the epochs of `shards`, in order; `None` if one does not exist.
    fn epochs(&self, shards: &[ShardId]) -> Option<Vec<Epoch>> {
        shards.iter().map(|shard| Some(self.shards.get(shard)?.0)).collect()
    }

    fn raise(&mut self, worker: &WorkerId, shard: ShardId, read: Epoch) -> Option<Epoch> {
        let (epoch, owner) = self.shards.get_mut(&shard).filter(|(epoch, _)| *epoch == read)?;
        *epoch = Epoch(epoch.0 + 1);
        *owner = Some(worker.clone());
        Some(*epoch)
    }

    fn check(&self, batch: &ReserveBatch, ask: &ReserveRequest) -> Result<Accepted, Refusal> {
        if !self.running {
            return Err(Refusal::FleetStopped);
        }
        let epoch = self.shards.get(&ask.shard).map(|(epoch, _)| *epoch);
        if !batch.epochs.iter().any(|(shard, mine)| *shard == ask.shard && Some(*mine) == epoch) {
            return Err(Refusal::ShardLost);
        }
        let sender = self.mailboxes.get(&ask.mailbox).filter(|m| self.shard(m.id) == ask.shard);
        let sender = sender.ok_or(Refusal::SenderPaused)?;
        if !self.may_send(sender, batch.now) {
            return Err(self.paused_by(sender, batch.now));
        }
        let quota = self.check_day(sender, ask, batch.now)?;
        let mut able = ask.choices.iter().filter(|choice| self.would_do(sender, ask, choice, batch.now)).peekable();
        able.peek().ok_or(Refusal::NoPartner)?;
        let receives = |choice: &PartnerOption| match ask.answers {
            None => Some(self.receivable(self.mailboxes.get(&choice.partner)?, batch.now)),
            Some(_) => None,
        };
        let mut seats = able.map(|choice| (choice, receives(choice)));
        let free = seats.find(|(_, receives)| receives.is_none_or(|(_, room)| room > 0));
        let (choice, receives) = free.ok_or(Refusal::PartnersFull)?;
        let limited = self.limits.contains_key(&sender.user);
        Ok(Accepted { user: sender.user, day: ask.day, choice: *choice, quota, limited, receives })
    }

    /// Returns the refusal that names the pause of a mailbox.
    fn paused_by(&self, sender: &Enrolled, now: DateTime<Utc>) -> Refusal {
        match () {
            () if self.is_paused("host", &sender.host, now) => Refusal::HostPaused,
            () if self.blame.rests(sender.user, "domain", &sender.domain, now) => Refusal::DomainPaused,
            () => Refusal::SenderPaused,
        }
    }

    fn check_day(&self, sender: &Enrolled, ask: &ReserveRequest, now: DateTime<Utc>) -> Result<u16, Refusal> {
        let day = self.days.get(&(ask.mailbox, ask.day)).filter(|day| !day.closed).ok_or(Refusal::Stale)?;
        let quota = sender.quota();
        if self.flying.contains(&ask.mailbox) {
            return Err(Refusal::NotCool);
        }
        match ask.answers {
            Some(reply) => self.check_thread(reply, ask.mailbox, day.reply_attempts, quota, now)?,
            None if day.reserved >= quota => return Err(Refusal::QuotaFull),
            None if day.attempts != ask.attempts || u32::from(day.attempts) >= 2 * u32::from(quota) => {
                return Err(Refusal::Stale);
            }
            None => {}
        }
        let eve = ask.day.pred_opt().and_then(|eve| self.days.get(&(ask.mailbox, eve)));
        let cooling = |row: &DayRow| row.next_at.is_some_and(|at| at > now);
        if cooling(day) || eve.is_some_and(cooling) {
            return Err(Refusal::NotCool);
        }
        Ok(quota)
    }

    fn check_thread(
        &self,
        reply: ReplyId,
        mailbox: MailboxId,
        today: u16,
        quota: u16,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        self.waiting_thread(reply, mailbox, now).ok_or(Refusal::Stale)?;
        if today >= quota.div_ceil(2) { Err(Refusal::QuotaFull) } else { Ok(()) }
    }

    fn waiting_thread(&self, reply: ReplyId, mailbox: MailboxId, now: DateTime<Utc>) -> Option<&ReplyRow> {
        let due = |row: &&ReplyRow| row.due.at <= now && now < row.due.until;
        self.replies.get(&reply).filter(|row| row.mailbox == mailbox && row.state == "waiting").filter(due)
    }

    /// Lapses due replies that can't be sent; they are not retried.
    fn lapse_refused(&mut self, batch: &ReserveBatch, checked: &[Result<Accepted, Refusal>]) {
        for (ask, checked) in batch.asks.iter().zip(checked) {
            let reason = match checked {
                Err(Refusal::SenderPaused | Refusal::HostPaused | Refusal::DomainPaused) => {
                    Refusal::SenderPaused.as_str()
                }
                Err(Refusal::NoPartner) => Refusal::NoPartner.as_str(),
                Err(Refusal::QuotaFull) => "reply-limit",
                _ => continue,
            };
            let due = ask.answers.filter(|reply| self.waiting_thread(*reply, ask.mailbox, batch.now).is_some());
            if let Some(reply) = due {
                self.lapse(reply, reason);
            }
        }
    }

    fn would_do(&self, sender: &Enrolled, ask: &ReserveRequest, choice: &PartnerOption, now: DateTime<Utc>) -> bool {
        choice.partner != ask.mailbox
            && !self.blame.avoids(choice.partner, &sender.place, now)
            && self
                .mailboxes
                .get(&choice.partner)
                .is_some_and(|partner| Tables::may_receive(partner, now) && self.may_exchange(sender, partner))
            && (ask.answers.is_some() || !self.pairs.contains(ask.day, ask.mailbox, (choice.partner, choice.round)))
    }

    /// Returns whether both mailboxes belong to one user, or both are verified.
    fn may_exchange(&self, sender: &Enrolled, partner: &Enrolled) -> bool {
        partner.user == sender.user || (self.is_verified(sender.id) && self.is_verified(partner.id))
    }

    /// Refuses mails to a partner beyond the number that it may still receive, in order of urgency.
    fn within_bounds(&self, checked: Vec<Result<Accepted, Refusal>>) -> Vec<Result<Accepted, Refusal>> {
        let mut seated: BTreeMap<MailboxId, u32> = BTreeMap::new();
        let seat = |checked: Result<Accepted, Refusal>| {
            let accepted = checked?;
            let Some((_, room)) = accepted.receives else { return Ok(accepted) };
            let taken = seated.entry(accepted.choice.partner).or_default();
            if *taken >= room {
                return Err(Refusal::PartnersFull);
            }
            *taken += 1;
            Ok(accepted)
        };
        checked.into_iter().map(seat).collect()
    }

    /// Refuses mails beyond the daily limit of their user, in order of urgency.
    fn within_limits(&self, checked: Vec<Result<Accepted, Refusal>>, stretch: f64) -> Vec<Result<Accepted, Refusal>> {
        let mut granted: BTreeMap<(UserId, NaiveDate), u32> = BTreeMap::new();
        checked
            .into_iter()
            .map(|checked| {
                let accepted = checked?;
                let key = (accepted.user, accepted.day);
                let Some(limit) = self.limits.get(&accepted.user) else { return Ok(accepted) };
                let most = stretched(*limit, stretch);
                let taken = self.user_days.get(&key).copied().unwrap_or_default();
                let now = granted.entry(key).or_default();
                if taken + *now >= most {
                    return Err(Refusal::UserDailyLimit);
                }
                *now += 1;
                Ok(accepted)
            })
            .collect()
    }

    fn note_slow_hosts(&mut self, worker: &WorkerId, hosts: &[String]) {
        let before = std::mem::take(&mut self.slow_hosts);
        let is_slow_to_another = |host: &String| before.iter().any(|(slow, other)| slow == host && other != worker);
        let own = |host: &String| before.contains(&(host.clone(), worker.clone()));
        for _ in hosts.iter().filter(|host| !own(host) && !is_slow_to_another(host)) {
            self.tell("host-slow", None, "no-answer-in-time");
        }
        for (host, _) in before.iter().filter(|(host, other)| other == worker && !hosts.contains(host)) {
            if !is_slow_to_another(host) {
                self.tell("host-answers", None, "answers-in-time");
            }
        }
        self.slow_hosts = before.iter().filter(|(_, other)| other != worker).cloned().collect();
        self.slow_hosts.extend(hosts.iter().map(|host| (host.clone(), worker.clone())));
    }

    fn open_batch(&mut self, processed: usize) -> BatchId {
        if processed > 0 {
            self.last_batch += 1;
            let row = BatchRow { started_at: self.now, processed: processed as u16, ..BatchRow::default() };
            self.batches.insert(BatchId(self.last_batch), row);
        }
        BatchId(self.last_batch)
    }

    fn take_off(
        &mut self,
        batch: &ReserveBatch,
        ask: &ReserveRequest,
        accepted: Accepted,
        (id, now, stretch): (BatchId, MachineTime, f64),
    ) -> Flight {
        let Accepted { user, choice, quota, limited, receives, .. } = accepted;
        let day = self.days.entry((ask.mailbox, ask.day)).or_default();
        day.quota = quota;
        if let Some(reply) = ask.answers {
            day.reply_attempts += 1;
            self.claim(reply);
        } else {
            day.reserved += 1;
            day.attempts += 1;
            self.pairs.insert(ask.day, ask.mailbox, (choice.partner, choice.round));
        }
        if limited {
            self.count_user(user, ask.day, stretch);
        }
        let partner_day = receives.map(|(day, _)| day);
        if let Some(day) = partner_day {
            *self.received.entry((day, choice.partner)).or_default() += 1;
        }
        self.last_flight += 1;
        let flight = FlightId(self.last_flight);
        let row = FlightRow {
            mailbox: ask.mailbox,
            partner: choice.partner,
            user,
            day: ask.day,
            round: choice.round,
            shard: ask.shard,
            run: batch.run,
            batch: id,
            message_id: ask.message_id.clone(),
            subject: ask.subject.clone(),
            answers: ask.answers,
            limited,
            partner_day,
            reserved_at: now,
        };
        self.flights.insert(flight, row);
        self.flying.insert(ask.mailbox);
        let sender = &self.mailboxes[&ask.mailbox];
        Flight {
            id: flight,
            batch: id,
            shard: ask.shard,
            day: ask.day,
            user,
            sender: self.party(ask.mailbox),
            recipient: self.party(choice.partner),
            round: choice.round,
            message_id: ask.message_id.clone(),
            subject: ask.subject.clone(),
            answers: ask.answers,
            answering: self.mailboxes[&choice.partner].answering(),
            endpoint: sender.endpoint.clone(),
            username: sender.email.clone(),
            sealed_password: Vec::new(),
        }
    }

    /// Counts a mail of a user with a limit. The mail that reaches the limit writes an event, once per day.
    fn count_user(&mut self, user: UserId, day: NaiveDate, stretch: f64) {
        let reserved = self.user_days.entry((user, day)).or_default();
        *reserved += 1;
        let is_full = self.limits.get(&user).is_some_and(|limit| *reserved >= stretched(*limit, stretch));
        if is_full && self.limits_reached.insert((user, day)) {
            self.tell("user-limit-reached", None, Refusal::UserDailyLimit.as_str());
        }
    }

    fn party(&self, mailbox: MailboxId) -> Participant {
        let of = &self.mailboxes[&mailbox];
        Participant { mailbox, email: of.email.clone(), display_name: of.display_name.clone() }
    }
}

impl Ending {
    fn settled(result: &Settlement) -> Ending {
        let Settlement { flight, batch, at, next_at, reply, .. } = *result;
        let (outcome, trace, is_reduced) = (result.outcome.clone(), result.trace.clone(), result.is_reduced);
        let message_id = Some(result.mail.message_id.clone());
        Ending { flight, message_id, batch: Some(batch), outcome, at, next_at: Some(next_at), reply, trace, is_reduced }
    }

    fn is(&self, fate: OutcomeKind) -> bool {
        self.outcome.fate == fate
    }
}
