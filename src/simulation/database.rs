//! `MemoryDatabase` stores the tables of the schema in memory for the ledger and the planning store.
//!
//! The tables are ordered maps, so that a replay does not depend on a hash order.

mod audit;
mod blame;
mod enrolled;
mod facts;
mod pairs;
mod past;
mod peek;
mod tally;
mod threads;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, NaiveDate, Utc};

use self::blame::Blame;
pub(super) use self::enrolled::Enrolled;
use self::pairs::Pairs;
pub use self::{
    facts::{MailboxFacts, PauseFacts},
    peek::SenderState,
    tally::{Hour, Tally},
};
use super::{Fault, Faults};
use crate::{
    domain::{
        id::{BatchId, Epoch, FlightId, MailboxId, ReplyId, RunId, ShardId, UserId, WorkerId},
        lease::MachineTime,
        mailbox::Endpoint,
        maintenance::MaintenanceJob,
        outcome::{
            escalation::{HostState, SenderStrikes},
            refusals::FailureCounts,
        },
        probe::Probe,
        ramp::Ramp,
        reply::{ReplyPolicy, ReplyWindow},
        roster::receive_bound,
        shard::{all_shards, shard_of},
        time::{Schedule, today},
    },
    ports::{Clock, Heartbeat, PortError, Roster},
};

/// The state of a mailbox as a sender or as a partner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MailboxState {
    #[default]
    Active,
    /// Paused until `until`; the pause ends by itself.
    Paused { until: DateTime<Utc>, reason: String },
    /// Stopped until the operator resumes it. `by_operator` distinguishes the operator's pause from a disabling.
    Stopped { reason: String, by_operator: bool },
}

impl MailboxState {
    pub(super) fn holds(&self, now: DateTime<Utc>) -> bool {
        match self {
            MailboxState::Active => false,
            MailboxState::Paused { until, .. } => *until > now,
            MailboxState::Stopped { .. } => true,
        }
    }
}

/// An enrolled mailbox.
#[derive(Clone, Debug)]
pub struct MemoryMailbox {
    pub id: MailboxId,
    pub user: UserId,
    pub email: String,
    pub display_name: String,
    pub endpoint: Endpoint,
    pub schedule: Schedule,
    pub ramp: Ramp,
    pub grown: u16,
    /// Replies per 100 received mails.
    pub reply_rate: u8,
    pub enabled: bool,
    pub sending: MailboxState,
    pub receiving: MailboxState,
}

impl MemoryMailbox {
    pub(super) fn answering(&self) -> ReplyPolicy {
        ReplyPolicy { rate: self.reply_rate, zone: self.schedule.zone, days: self.schedule.days }
    }

    pub(super) fn quota(&self) -> u16 {
        self.ramp.quota(self.grown)
    }
}

/// A row of `mailbox_days`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayRow {
    pub quota: u16,
    pub reserved: u16,
    pub sent: u16,
    pub failed: u16,
    pub uncertain: u16,
    pub replied: u16,
    pub attempts: u16,
    pub failed_in_row: u16,
    pub reply_attempts: u16,
    pub next_at: Option<DateTime<Utc>>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub closed: bool,
    pub late: bool,
    /// True if closing the day raised the ramp.
    pub grew: bool,
    /// True if a fence closed the day, which then stays closed.
    pub fenced: bool,
}

/// A row of `logs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    pub day: NaiveDate,
    pub mailbox: MailboxId,
    pub partner: MailboxId,
    pub message_id: String,
    /// `SENT`, `REPLIED` or `FAILED`, as in the schema.
    pub status: &'static str,
    pub reason: Option<String>,
    pub subject: String,
    pub answers: Option<ReplyId>,
}

/// A row of `scheduled_replies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyRow {
    pub mailbox: MailboxId,
    pub partner: MailboxId,
    pub due: ReplyWindow,
    pub message_id: String,
    pub subject: String,
    /// `waiting`, `claimed`, `sent`, `failed` or `lapsed`.
    pub state: &'static str,
    pub reason: Option<String>,
    pub trace: Option<String>,
}

/// A row of `events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    pub at: DateTime<Utc>,
    pub kind: String,
    pub mailbox: Option<MailboxId>,
    pub reason: String,
}

#[derive(Clone, Debug)]
pub(super) struct FlightRow {
    pub(super) mailbox: MailboxId,
    pub(super) partner: MailboxId,
    pub(super) user: UserId,
    pub(super) day: NaiveDate,
    pub(super) round: i16,
    pub(super) shard: ShardId,
    pub(super) run: RunId,
    pub(super) batch: BatchId,
    pub(super) message_id: String,
    pub(super) subject: String,
    pub(super) answers: Option<ReplyId>,
    pub(super) limited: bool,
    /// The partner's own day on which the mail counts as received; `None` for a reply.
    pub(super) partner_day: Option<NaiveDate>,
    pub(super) reserved_at: MachineTime,
}

/// A row of `batches`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchRow {
    pub started_at: DateTime<Utc>,
    pub processed: u16,
    pub sent: u16,
    pub failed: u16,
    pub uncertain: u16,
    pub released: u16,
    pub finished: bool,
}

/// A row of `cleanups`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanupRow {
    pub covered_by: Option<NaiveDate>,
    pub attempts: u32,
    pub finished: bool,
    pub done: BTreeMap<MaintenanceJob, u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    /// The start time of the present statement.
    pub(super) now: DateTime<Utc>,
    pub(super) running: bool,
    /// True while writing statements are refused.
    pub(super) read_only: bool,
    /// True if the fleet is stopped because the database was set back.
    pub(super) is_set_back: bool,
    pub(super) fence: i64,
    pub(super) mailboxes: BTreeMap<MailboxId, Box<Enrolled>>,
    pub(super) by_shard: BTreeSet<(ShardId, MailboxId)>,
    pub(super) limits: BTreeMap<UserId, u32>,
    pub(super) days: BTreeMap<(MailboxId, NaiveDate), DayRow>,
    pub(super) pairs: Pairs,
    pub(super) user_days: BTreeMap<(UserId, NaiveDate), u32>,
    /// Users that reached their daily limit, each with the day: one event per pair.
    pub(super) limits_reached: BTreeSet<(UserId, NaiveDate)>,
    /// The slow mail hosts, each with the worker for which it is slow.
    pub(super) slow_hosts: BTreeSet<(String, WorkerId)>,
    /// The number of mails that each mailbox receives on its own day.
    pub(super) received: BTreeMap<(NaiveDate, MailboxId), u32>,
    pub(super) rosters: BTreeMap<NaiveDate, Roster>,
    pub(super) shards: BTreeMap<ShardId, (Epoch, Option<WorkerId>)>,
    /// The number of plan requests of each shard.
    pub(super) plan_requests: BTreeMap<ShardId, i64>,
    pub(super) flights: BTreeMap<FlightId, FlightRow>,
    /// The mailboxes with a flight.
    pub(super) flying: BTreeSet<MailboxId>,
    pub(super) logs: BTreeMap<FlightId, LogRow>,
    /// The Message-IDs of the log rows that were written late.
    pub(super) late_mails: BTreeSet<String>,
    pub(super) batches: BTreeMap<BatchId, BatchRow>,
    pub(super) replies: BTreeMap<ReplyId, ReplyRow>,
    /// The due time of each waiting reply, by the shard of the replying mailbox.
    pub(super) waiting: BTreeSet<(ShardId, DateTime<Utc>, ReplyId)>,
    /// The states of hosts and logins, by (`host`, name) and (`login`, key).
    pub(super) pauses: BTreeMap<(&'static str, String), HostState>,
    pub(super) blame: Blame,
    /// Mailboxes that exchange mails only with mailboxes of their own user.
    pub(super) unverified: BTreeSet<MailboxId>,
    pub(super) records: BTreeMap<MailboxId, SenderStrikes>,
    /// The failures in a row of each mailbox with a failed last mail.
    pub(super) failures: BTreeMap<MailboxId, FailureCounts>,
    /// The time of the last alert of each user, host and reason.
    pub(super) alerts: BTreeMap<(UserId, Arc<str>, &'static str), DateTime<Utc>>,
    pub(super) events: Vec<EventRow>,
    pub(super) cleanups: BTreeMap<NaiveDate, CleanupRow>,
    pub(super) last_flight: i64,
    pub(super) last_batch: i64,
    pub(super) tally: Tally,
    /// True if finished rows are dropped and only the tally is stored.
    pub(super) forgets: bool,
}

impl Tables {
    pub(super) fn shard(&self, mailbox: MailboxId) -> ShardId {
        shard_of(mailbox, u16::try_from(self.shards.len()).unwrap_or(u16::MAX))
    }

    /// Returns the mailboxes of `shards`, by shard and id.
    pub(super) fn of_shards<'a>(&'a self, shards: &'a [ShardId]) -> impl Iterator<Item = &'a Enrolled> {
        let places = shards
            .iter()
            .flat_map(|shard| self.by_shard.range((*shard, MailboxId(i64::MIN))..=(*shard, MailboxId(i64::MAX))));
        places.filter_map(|(_, id)| self.mailboxes.get(id).map(|mailbox| &**mailbox))
    }

    /// Returns whether a mailbox may send: it is enabled, and no pause applies to it, its host, its login or its
    /// domain.
    pub(super) fn may_send(&self, mailbox: &Enrolled, now: DateTime<Utc>) -> bool {
        let paused = || {
            !self.pauses.is_empty()
                && (self.is_paused("host", &mailbox.host, now) || self.is_paused("login", &mailbox.login, now))
        };
        let rests = || {
            self.blame.rests(mailbox.user, "host", &mailbox.place, now)
                || self.blame.rests(mailbox.user, "domain", &mailbox.domain, now)
        };
        mailbox.enabled && !mailbox.sending.holds(now) && !paused() && !rests()
    }

    /// Returns whether the host `name`, or the login with that key, is paused.
    pub(super) fn is_paused(&self, scope: &'static str, name: &str, now: DateTime<Utc>) -> bool {
        self.pauses.get(&(scope, name.to_owned())).is_some_and(|whole| whole.holds(now))
    }

    /// Returns the open breaker of the mailbox's host, or of its user's login there.
    pub(super) fn probe(&self, mailbox: &Enrolled) -> Option<Probe> {
        if self.pauses.is_empty() {
            return None;
        }
        let is_open =
            |scope, key: &Arc<str>| self.pauses.get(&(scope, key.to_string())).is_some_and(|whole| whole.probing);
        let places = [("host", &mailbox.host), ("login", &mailbox.login)];
        let (_, key) = places.into_iter().find(|(scope, key)| is_open(scope, key))?;
        let mut days = self.days.range((mailbox.id, NaiveDate::MIN)..=(mailbox.id, NaiveDate::MAX));
        Some(Probe { key: Arc::clone(key), was_let_in: days.any(|(_, day)| day.sent + day.replied > 0) })
    }

    /// Returns whether a mailbox exchanges mails with mailboxes of other users.
    pub(super) fn is_verified(&self, mailbox: MailboxId) -> bool {
        !self.unverified.contains(&mailbox)
    }

    /// Returns whether a mailbox may receive: it is enabled, and neither its sending nor its receiving is paused.
    pub(super) fn may_receive(mailbox: &MemoryMailbox, now: DateTime<Utc>) -> bool {
        mailbox.enabled && !mailbox.sending.holds(now) && !mailbox.receiving.holds(now)
    }

    /// Writes the events of a heartbeat.
    pub(super) fn tell_heartbeat(&mut self, heartbeat: &Heartbeat) {
        if heartbeat.clock_off.is_some() {
            self.tell("clock-off", None, "clock");
        }
        if let Some(change) = heartbeat.change {
            self.tell(change.kind(), None, change.reason());
        }
        if let Some(at) = heartbeat.refused_since {
            let reason = "database-read-only".to_owned();
            self.events.push(EventRow { at, kind: "writes-refused".into(), mailbox: None, reason });
        }
    }

    /// Requests a plan of a shard before the next tick.
    pub(super) fn request_plan(&mut self, shard: ShardId) {
        *self.plan_requests.entry(shard).or_default() += 1;
    }

    /// Returns the own day of `partner` at `now`, and the number of mails that it may still receive on that day.
    pub(super) fn receivable(&self, partner: &MemoryMailbox, now: DateTime<Utc>) -> (NaiveDate, u32) {
        let day = today(partner.schedule.zone, now);
        let received = self.received.get(&(day, partner.id)).copied().unwrap_or_default();
        (day, receive_bound(partner.quota()).saturating_sub(received))
    }

    pub(super) fn tell(&mut self, kind: impl Into<String>, mailbox: Option<MailboxId>, reason: &str) {
        self.events.push(EventRow { at: self.now, kind: kind.into(), mailbox, reason: reason.to_owned() });
    }
}

/// A copy of the database, to set it back later.
#[derive(Clone, Debug)]
pub struct Backup(Tables);

/// The database of a simulated fleet. Clones share the tables.
#[derive(Clone)]
pub struct MemoryDatabase {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) user_daily_cap: f64,
    faults: Arc<Faults>,
    tables: Arc<Mutex<Tables>>,
}

impl MemoryDatabase {
    /// Creates the empty database of a fleet with `shards` shards. The age of a flight is measured by the machine
    /// clock, as Postgres measures it by its own.
    pub fn new(clock: Arc<dyn Clock>, shards: u16, user_daily_cap: f64) -> MemoryDatabase {
        let shards = all_shards(shards).into_iter().map(|shard| (shard, (Epoch(0), None))).collect();
        let tables = Tables { running: true, shards, ..Tables::default() };
        MemoryDatabase { clock, user_daily_cap, faults: Arc::default(), tables: Arc::new(Mutex::new(tables)) }
    }

    /// Drops finished rows and stores only the tally, for simulations with millions of mails. Only uncertain log rows,
    /// open replies and open batches stay.
    pub fn forgetful(self) -> MemoryDatabase {
        self.tables().forgets = true;
        self
    }

    /// Returns the sums of all mails so far.
    pub fn tally(&self) -> Tally {
        self.tables().tally.clone()
    }

    /// Makes every call fail with `fault`, until `None` ends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.faults.set(fault);
    }

    /// Makes only the next statement fail with `fault`.
    pub fn fail_next(&self, fault: Fault) {
        self.faults.set_once(fault);
    }

    /// Executes the next statement, and loses its answer.
    pub fn lose_next_answer(&self) {
        self.faults.set_once(Fault::AnswerLost);
    }

    /// Returns a copy of the present database.
    pub fn backup(&self) -> Backup {
        Backup(self.tables().clone())
    }

    /// Sets the database back to the backup: all later commits are lost, including ids and epochs.
    pub fn restore(&self, backup: &Backup) {
        *self.tables() = backup.0.clone();
    }

    /// Enrols a mailbox, or changes a known one, and requests a plan of its shard.
    pub fn enrol(&self, mailbox: MemoryMailbox) {
        let (mut tables, now) = (self.tables(), self.clock.now());
        let (shard, id) = (tables.shard(mailbox.id), mailbox.id);
        let enrolled_at = tables.mailboxes.get(&id).map_or(now, |known| known.enrolled_at);
        tables.by_shard.insert((shard, id));
        tables.mailboxes.insert(id, Box::new(Enrolled::new(mailbox, enrolled_at)));
        tables.request_plan(shard);
    }

    /// Changes a mailbox in place, and requests a plan of its shard.
    pub fn change(&self, mailbox: MailboxId, change: impl FnOnce(&mut MemoryMailbox)) {
        let mut tables = self.tables();
        let shard = tables.shard(mailbox);
        if let Some(mailbox) = tables.mailboxes.get_mut(&mailbox) {
            mailbox.change(change);
            tables.request_plan(shard);
        }
    }

    /// Sets whether a mailbox is verified. It is verified after its enrolment.
    pub fn set_verified(&self, mailbox: MailboxId, is_verified: bool) {
        let mut tables = self.tables();
        if is_verified {
            tables.unverified.remove(&mailbox);
        } else {
            tables.unverified.insert(mailbox);
        }
    }

    /// Sets the daily limit of a user.
    pub fn limit(&self, user: UserId, limit: u32) {
        self.tables().limits.insert(user, limit);
    }

    /// Starts or stops the fleet by order.
    pub fn order(&self, running: bool) {
        let mut tables = self.tables();
        if tables.running != running {
            (tables.running, tables.now) = (running, self.clock.now());
            tables.tell(if running { "fleet-started" } else { "fleet-stopped" }, None, "operator");
        }
    }

    /// Returns a mailbox in its present state.
    pub fn mailbox(&self, mailbox: MailboxId) -> Option<MemoryMailbox> {
        self.tables().mailboxes.get(&mailbox).map(|mailbox| (***mailbox).clone())
    }

    /// Returns a day of a mailbox.
    pub fn day(&self, mailbox: MailboxId, day: NaiveDate) -> Option<DayRow> {
        self.tables().days.get(&(mailbox, day)).cloned()
    }

    /// Returns all days of all mailboxes.
    pub fn days(&self) -> Vec<(MailboxId, NaiveDate, DayRow)> {
        self.tables().days.iter().map(|((mailbox, day), row)| (*mailbox, *day, row.clone())).collect()
    }

    /// Returns the log, by flight.
    pub fn logs(&self) -> Vec<(FlightId, LogRow)> {
        self.tables().logs.iter().map(|(flight, row)| (*flight, row.clone())).collect()
    }

    /// Returns the scheduled replies.
    pub fn replies(&self) -> Vec<(ReplyId, ReplyRow)> {
        self.tables().replies.iter().map(|(id, row)| (*id, row.clone())).collect()
    }

    /// Returns the used pairs: day, sender, partner and round.
    pub fn pairs(&self) -> Vec<(NaiveDate, MailboxId, MailboxId, i16)> {
        self.tables().pairs.all()
    }

    /// Returns a batch.
    pub fn batch(&self, batch: BatchId) -> Option<BatchRow> {
        self.tables().batches.get(&batch).copied()
    }

    /// Resumes all mailboxes of a host and forgets its counted failures, as the operator's command does.
    pub fn resume_host(&self, host: &str) {
        let mut tables = self.tables();
        tables.pauses.remove(&("host", host.to_lowercase()));
        let logins: BTreeSet<Arc<str>> = {
            let of_it = tables.mailboxes.values().filter(|mailbox| mailbox.host.eq_ignore_ascii_case(host));
            of_it.map(|mailbox| Arc::clone(&mailbox.login)).collect()
        };
        tables.pauses.retain(|(scope, key), _| *scope != "login" || !logins.contains(key.as_str()));
        for mailbox in tables.mailboxes.values_mut().filter(|m| m.endpoint.host.eq_ignore_ascii_case(host)) {
            mailbox.sending = MailboxState::Active;
        }
        let Tables { mailboxes, failures, .. } = &mut *tables;
        failures.retain(|id, _| mailboxes.get(id).is_none_or(|m| !m.endpoint.host.eq_ignore_ascii_case(host)));
    }

    /// Resumes a mailbox, as the operator's command does: it sends and receives, and its failures in a row are
    /// forgotten.
    pub fn resume(&self, mailbox: MailboxId) {
        self.tables().failures.remove(&mailbox);
        self.change(mailbox, |mailbox| {
            (mailbox.sending, mailbox.receiving) = (MailboxState::Active, MailboxState::Active)
        });
    }

    /// Returns all events so far.
    pub fn events(&self) -> Vec<EventRow> {
        self.tables().events.clone()
    }

    /// Returns the dates whose maintenance jobs were begun.
    pub fn cleanups(&self) -> BTreeMap<NaiveDate, CleanupRow> {
        self.tables().cleanups.clone()
    }

    /// Returns all invariants that do not hold at the moment, as sentences.
    pub fn audit(&self) -> Vec<String> {
        audit::violations(&self.tables())
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets whether the database refuses writing statements.
    pub fn set_read_only(&self, read_only: bool) {
        self.tables().read_only = read_only;
    }

    /// Runs a writing statement. Returns `Unwritable` while the database is read-only.
    pub(super) fn write<T>(&self, statement: impl FnOnce(&mut Tables) -> T) -> Result<T, PortError> {
        self.statement(|tables| match tables.read_only {
            true => Err(PortError::Unwritable("the database in memory is read-only".into())),
            false => Ok(statement(tables)),
        })?
    }

    /// Runs one statement, with the present fault.
    pub(super) fn statement<T>(&self, statement: impl FnOnce(&mut Tables) -> T) -> Result<T, PortError> {
        self.faults.around(|| {
            let mut tables = self.tables();
            tables.now = self.clock.now();
            statement(&mut tables)
        })
    }
}
