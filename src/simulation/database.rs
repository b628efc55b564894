//! What the ledger and the mailboxes keep in memory: the tables of the schema as ordered maps, so that no hash order shows
//! in a replay.

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

/// The standing of a mailbox as a sender or as a partner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MailboxState {
    #[default]
    Active,
    /// Until then, by itself.
    Paused { until: DateTime<Utc>, reason: String },
    /// Until the operator resumes it. `by_operator` tells a pause from a disabling.
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
    /// Of a hundred mails.
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
    /// Closing it raised the ramp.
    pub grew: bool,
    /// A fence closed it, so it stays closed.
    pub fenced: bool,
}

/// A row of `logs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    pub day: NaiveDate,
    pub mailbox: MailboxId,
    pub partner: MailboxId,
    pub message_id: String,
    /// `SENT`, `REPLIED` or `FAILED`.
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
    /// The partner's own day, where the mail counts as received; none for a reply.
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
    /// When the statement that runs began.
    pub(super) now: DateTime<Utc>,
    pub(super) running: bool,
    /// Statements that write are refused.
    pub(super) read_only: bool,
    /// Stopped because the record was set back.
    pub(super) is_set_back: bool,
    pub(super) fence: i64,
    pub(super) mailboxes: BTreeMap<MailboxId, Box<Enrolled>>,
    pub(super) by_shard: BTreeSet<(ShardId, MailboxId)>,
    pub(super) limits: BTreeMap<UserId, u32>,
    pub(super) days: BTreeMap<(MailboxId, NaiveDate), DayRow>,
    pub(super) pairs: Pairs,
    pub(super) user_days: BTreeMap<(UserId, NaiveDate), u32>,
    /// Users whose daily limit was reached, with the day: told once.
    pub(super) limits_reached: BTreeSet<(UserId, NaiveDate)>,
    /// The mail hosts that do not answer in time, and to whom.
    pub(super) slow_hosts: BTreeSet<(String, WorkerId)>,
    /// Mails that a mailbox receives on its own day.
    pub(super) received: BTreeMap<(NaiveDate, MailboxId), u32>,
    pub(super) rosters: BTreeMap<NaiveDate, Roster>,
    pub(super) shards: BTreeMap<ShardId, (Epoch, Option<WorkerId>)>,
    /// How often a plan of each shard was asked for.
    pub(super) plan_requests: BTreeMap<ShardId, i64>,
    pub(super) flights: BTreeMap<FlightId, FlightRow>,
    /// Who has one of them.
    pub(super) flying: BTreeSet<MailboxId>,
    pub(super) logs: BTreeMap<FlightId, LogRow>,
    /// Message-IDs of those among them that were written late.
    pub(super) late_mails: BTreeSet<String>,
    pub(super) batches: BTreeMap<BatchId, BatchRow>,
    pub(super) replies: BTreeMap<ReplyId, ReplyRow>,
    /// When each waiting reply falls due, by the shard of who answers.
    pub(super) waiting: BTreeSet<(ShardId, DateTime<Utc>, ReplyId)>,
    /// By (`host`, name) and (`login`, key).
    pub(super) pauses: BTreeMap<(&'static str, String), HostState>,
    pub(super) blame: Blame,
    /// Mailboxes that receive from their owner's mailboxes only.
    pub(super) unverified: BTreeSet<MailboxId>,
    pub(super) records: BTreeMap<MailboxId, SenderStrikes>,
    /// The failures in a row of each mailbox whose last mail failed.
    pub(super) failures: BTreeMap<MailboxId, FailureCounts>,
    /// When each reason was last told as an alert.
    pub(super) alerts: BTreeMap<(UserId, Arc<str>, &'static str), DateTime<Utc>>,
    pub(super) events: Vec<EventRow>,
    pub(super) cleanups: BTreeMap<NaiveDate, CleanupRow>,
    pub(super) last_flight: i64,
    pub(super) last_batch: i64,
    pub(super) tally: Tally,
    /// Of what is over only the tally is kept.
    pub(super) forgets: bool,
}

impl Tables {
    pub(super) fn shard(&self, mailbox: MailboxId) -> ShardId {
        shard_of(mailbox, u16::try_from(self.shards.len()).unwrap_or(u16::MAX))
    }

    /// Returns the mailboxes of `shards`.
    pub(super) fn of_shards<'a>(&'a self, shards: &'a [ShardId]) -> impl Iterator<Item = &'a Enrolled> {
        let places = shards
            .iter()
            .flat_map(|shard| self.by_shard.range((*shard, MailboxId(i64::MIN))..=(*shard, MailboxId(i64::MAX))));
        places.filter_map(|(_, id)| self.mailboxes.get(id).map(|mailbox| &**mailbox))
    }

    /// Says whether a mailbox may send: enabled, neither itself nor its host nor its domain held.
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

    /// Says whether the host called `name`, or the login with that key, is paused.
    pub(super) fn is_paused(&self, scope: &'static str, name: &str, now: DateTime<Utc>) -> bool {
        self.pauses.get(&(scope, name.to_owned())).is_some_and(|whole| whole.holds(now))
    }

    /// Returns the open breaker of a mailbox's host, or else of its owner's login there.
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

    /// Says whether a mailbox exchanges mails with other owners' mailboxes.
    pub(super) fn is_verified(&self, mailbox: MailboxId) -> bool {
        !self.unverified.contains(&mailbox)
    }

    /// Says whether a mailbox may be written to: able to receive, and in nobody's pause.
    pub(super) fn may_receive(mailbox: &MemoryMailbox, now: DateTime<Utc>) -> bool {
        mailbox.enabled && !mailbox.sending.holds(now) && !mailbox.receiving.holds(now)
    }

    /// Stores the events of a heartbeat.
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

    /// Asks for a plan of a shard before the next tick.
    pub(super) fn request_plan(&mut self, shard: ShardId) {
        *self.plan_requests.entry(shard).or_default() += 1;
    }

    /// Returns the own day of `partner` at `now`, and how many mails more it may receive on it.
    pub(super) fn receivable(&self, partner: &MemoryMailbox, now: DateTime<Utc>) -> (NaiveDate, u32) {
        let day = today(partner.schedule.zone, now);
        let received = self.received.get(&(day, partner.id)).copied().unwrap_or_default();
        (day, receive_bound(partner.quota()).saturating_sub(received))
    }

    pub(super) fn tell(&mut self, kind: impl Into<String>, mailbox: Option<MailboxId>, reason: &str) {
        self.events.push(EventRow { at: self.now, kind: kind.into(), mailbox, reason: reason.to_owned() });
    }
}

/// A copy of the record, by which it can be set back.
#[derive(Clone, Debug)]
pub struct Backup(Tables);

/// The whole record of a simulated fleet. Clones share it.
#[derive(Clone)]
pub struct MemoryDatabase {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) user_daily_cap: f64,
    faults: Arc<Faults>,
    tables: Arc<Mutex<Tables>>,
}

impl MemoryDatabase {
    /// An empty record of a fleet of `shards`. Flights age by the machine clock, as Postgres ages them by its own.
    pub fn new(clock: Arc<dyn Clock>, shards: u16, user_daily_cap: f64) -> MemoryDatabase {
        let shards = all_shards(shards).into_iter().map(|shard| (shard, (Epoch(0), None))).collect();
        let tables = Tables { running: true, shards, ..Tables::default() };
        MemoryDatabase { clock, user_daily_cap, faults: Arc::default(), tables: Arc::new(Mutex::new(tables)) }
    }

    /// Keeps of what is over only the tally: no log row but those in doubt, no ended reply, no finished batch. For
    /// millions of mails.
    pub fn forgetful(self) -> MemoryDatabase {
        self.tables().forgets = true;
        self
    }

    /// Returns what came of all mails so far.
    pub fn tally(&self) -> Tally {
        self.tables().tally.clone()
    }

    /// From here on every call fails so; `None` mends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.faults.set(fault);
    }

    /// The next statement fails so, and the ones behind it do not.
    pub fn fail_next(&self, fault: Fault) {
        self.faults.set_once(fault);
    }

    /// The next statement is done and its answer lost.
    pub fn lose_next_answer(&self) {
        self.faults.set_once(Fault::AnswerLost);
    }

    /// Returns a copy of the record as it stands.
    pub fn backup(&self) -> Backup {
        Backup(self.tables().clone())
    }

    /// Sets the record back: all that was committed since the backup is lost, ids and epochs too.
    pub fn restore(&self, backup: &Backup) {
        *self.tables() = backup.0.clone();
    }

    /// Enrols a mailbox, or changes a known one, and asks for a plan of it.
    pub fn enrol(&self, mailbox: MemoryMailbox) {
        let (mut tables, now) = (self.tables(), self.clock.now());
        let (shard, id) = (tables.shard(mailbox.id), mailbox.id);
        let enrolled_at = tables.mailboxes.get(&id).map_or(now, |known| known.enrolled_at);
        tables.by_shard.insert((shard, id));
        tables.mailboxes.insert(id, Box::new(Enrolled::new(mailbox, enrolled_at)));
        tables.request_plan(shard);
    }

    /// Changes a mailbox in place, and asks for a plan of it.
    pub fn change(&self, mailbox: MailboxId, change: impl FnOnce(&mut MemoryMailbox)) {
        let mut tables = self.tables();
        let shard = tables.shard(mailbox);
        if let Some(mailbox) = tables.mailboxes.get_mut(&mailbox) {
            mailbox.change(change);
            tables.request_plan(shard);
        }
    }

    /// Lets a mailbox be verified, as it is from its enrolment on, or not.
    pub fn set_verified(&self, mailbox: MailboxId, is_verified: bool) {
        let mut tables = self.tables();
        if is_verified {
            tables.unverified.remove(&mailbox);
        } else {
            tables.unverified.insert(mailbox);
        }
    }

    /// Sets a user's own daily limit.
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

    /// Returns a mailbox as it stands.
    pub fn mailbox(&self, mailbox: MailboxId) -> Option<MemoryMailbox> {
        self.tables().mailboxes.get(&mailbox).map(|mailbox| (***mailbox).clone())
    }

    /// Returns a mailbox's day.
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

    /// Returns how often each pair of a day was used.
    pub fn pairs(&self) -> Vec<(NaiveDate, MailboxId, MailboxId, i16)> {
        self.tables().pairs.all()
    }

    /// Returns a batch.
    pub fn batch(&self, batch: BatchId) -> Option<BatchRow> {
        self.tables().batches.get(&batch).copied()
    }

    /// The operator lets a host's mailboxes go on, and forgets what it had counted.
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

    /// The operator resumes a mailbox: it sends and receives again, and its failures in a row are forgotten.
    pub fn resume(&self, mailbox: MailboxId) {
        self.tables().failures.remove(&mailbox);
        self.change(mailbox, |mailbox| {
            (mailbox.sending, mailbox.receiving) = (MailboxState::Active, MailboxState::Active)
        });
    }

    /// Returns what was told so far.
    pub fn events(&self) -> Vec<EventRow> {
        self.tables().events.clone()
    }

    /// Returns the dates whose duties were begun.
    pub fn cleanups(&self) -> BTreeMap<NaiveDate, CleanupRow> {
        self.tables().cleanups.clone()
    }

    /// Returns every invariant that does not hold right now, as sentences.
    pub fn audit(&self) -> Vec<String> {
        audit::violations(&self.tables())
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the database refuse what writes, or take it again.
    pub fn set_read_only(&self, read_only: bool) {
        self.tables().read_only = read_only;
    }

    /// Runs one statement that writes: refused while the database is read-only.
    pub(super) fn write<T>(&self, statement: impl FnOnce(&mut Tables) -> T) -> Result<T, PortError> {
        self.statement(|tables| match tables.read_only {
            true => Err(PortError::Unwritable("the database in memory is read-only".into())),
            false => Ok(statement(tables)),
        })?
    }

    /// Runs one statement, as the fault of the moment allows.
    pub(super) fn statement<T>(&self, statement: impl FnOnce(&mut Tables) -> T) -> Result<T, PortError> {
        self.faults.around(|| {
            let mut tables = self.tables();
            tables.now = self.clock.now();
            statement(&mut tables)
        })
    }
}
