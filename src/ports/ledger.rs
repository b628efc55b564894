//! The ledger: every mail from its reservation to its one log row. Each operation is one atomic statement.
//!
//! ```text
//!            reserve                    settle(sent | refused | uncertain)
//!   place ────────────▶ in flight ───────────────────────────────────────▶ one log row
//!                           │  └──────────── sweep (orphans) ────────────▶ one log row, uncertain
//!                           └── release (no connection was opened) ──────▶ no row, the place given back
//!                                 a late definite answer corrects its own uncertain row, never adds one
//!
//!   a result of which the database knows nothing any more (it was set back) ─▶ one log row, written late
//! ```

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::error::PortError;
use crate::domain::{
    daily_room::UserDay,
    id::{BatchId, Epoch, FlightId, MailboxId, ReplyId, RunId, ShardId, UserId, WorkerId},
    ledger_mark::{LedgerState, SettledMail},
    mailbox::Endpoint,
    outcome::Outcome,
    reply::{ReplyPolicy, ReplyWindow},
};

/// A partner that would do, and the round of the day's pairing in which it counts as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartnerOption {
    pub partner: MailboxId,
    pub round: i16,
}

/// One mail or reply that should go out.
#[derive(Clone, Debug, PartialEq)]
pub struct ReserveRequest {
    pub mailbox: MailboxId,
    pub shard: ShardId,
    pub day: NaiveDate,
    /// The attempts today as the planner knows them; any other number in the row refuses with `Stale`. Not looked at for
    /// a reply.
    pub attempts: u16,
    /// Partners in order of preference: the first that can receive, is not used yet in its round, and has not received all
    /// that it may on its own day is taken. For a reply the one whom it answers.
    pub choices: Vec<PartnerOption>,
    /// Without angle brackets, `<uuid@sender's domain>` inside.
    pub message_id: String,
    pub subject: String,
    /// The scheduled reply that this is: it takes no place and no pair, but its thread.
    pub answers: Option<ReplyId>,
}

/// Mails to reserve together. A mailbox stands in it at most once.
#[derive(Clone, Debug)]
pub struct ReserveBatch {
    pub worker: WorkerId,
    pub run: RunId,
    /// The shards of the mails with the epoch under which this worker owns them.
    pub epochs: Vec<(ShardId, Epoch)>,
    /// Day clock.
    pub now: DateTime<Utc>,
    /// In order of urgency.
    pub asks: Vec<ReserveRequest>,
}

/// Why a mail was not reserved. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The fleet is stopped by order.
    FleetStopped,
    /// The shard's epoch has passed: another worker owns it.
    ShardLost,
    /// The sender is paused, disabled or removed.
    SenderPaused,
    /// All mailboxes of the sender's mail host are paused.
    HostPaused,
    /// All mailboxes of the sender's domain are paused.
    DomainPaused,
    /// The mailbox still has its cooldown, or another mail or reply in flight.
    NotCool,
    /// Sent + uncertain + in flight has reached the quota; of replies, those of today half of it.
    QuotaFull,
    /// The row's attempts differ from the asked ones, or 2 x quota attempts are used; a reply is not due, or not any more.
    Stale,
    /// None of the choices can receive and is unused.
    NoPartner,
    /// Some of the choices can receive and are unused, but have received all that they may on their own day.
    PartnersFull,
    /// The owner's daily limit is reached.
    UserDailyLimit,
}

impl Refusal {
    /// The word for it in metrics, events and the database's answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::FleetStopped => "fleet-stopped",
            Refusal::ShardLost => "shard-lost",
            Refusal::SenderPaused => "sender-paused",
            Refusal::HostPaused => "host-paused",
            Refusal::DomainPaused => "domain-paused",
            Refusal::NotCool => "not-cool",
            Refusal::QuotaFull => "quota-full",
            Refusal::Stale => "stale",
            Refusal::NoPartner => "no-partner",
            Refusal::PartnersFull => "partners-full",
            Refusal::UserDailyLimit => "user-daily-limit",
        }
    }

    /// Every refusal, for tables and tests.
    pub const ALL: [Refusal; 11] = [
        Refusal::FleetStopped,
        Refusal::ShardLost,
        Refusal::SenderPaused,
        Refusal::HostPaused,
        Refusal::DomainPaused,
        Refusal::NotCool,
        Refusal::QuotaFull,
        Refusal::Stale,
        Refusal::NoPartner,
        Refusal::PartnersFull,
        Refusal::UserDailyLimit,
    ];
}

/// One end of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    pub mailbox: MailboxId,
    pub email: String,
    pub display_name: String,
}

/// A reserved mail with what sending it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Flight {
    pub id: FlightId,
    pub batch: BatchId,
    pub shard: ShardId,
    pub day: NaiveDate,
    pub user: UserId,
    pub sender: Participant,
    pub recipient: Participant,
    /// The round of the day's pairing in which the recipient counts as used; 0 for a reply.
    pub round: i16,
    pub message_id: String,
    pub subject: String,
    /// As asked.
    pub answers: Option<ReplyId>,
    /// How the recipient answers.
    pub answering: ReplyPolicy,
    pub endpoint: Endpoint,
    pub username: String,
    /// Sealed under the master key with the sender's id and where it may be sent; only the mailer opens it.
    pub sealed_password: Vec<u8>,
}

/// The answer to one ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Reservation {
    Reserved(Box<Flight>),
    Refused(Refusal),
}

/// What the log row of a mail says of the mail itself, so that the row can be written when the database has lost the
/// flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedMail {
    pub user: UserId,
    pub sender: String,
    pub recipient: String,
    pub round: i16,
    pub message_id: String,
    pub subject: String,
    pub answers: Option<ReplyId>,
    /// The Message-ID of the mail that a reply answers.
    pub thread: Option<String>,
}

impl LoggedMail {
    /// Returns what the row of `flight` says; `thread` is the Message-ID of the mail that it answers.
    pub fn from_flight(flight: &Flight, thread: Option<String>) -> LoggedMail {
        LoggedMail {
            user: flight.user,
            sender: flight.sender.email.clone(),
            recipient: flight.recipient.email.clone(),
            round: flight.round,
            message_id: flight.message_id.clone(),
            subject: flight.subject.clone(),
            answers: flight.answers,
            thread,
        }
    }
}

/// What became of one flight.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    pub flight: FlightId,
    pub batch: BatchId,
    pub mailbox: MailboxId,
    pub partner: MailboxId,
    pub day: NaiveDate,
    /// Its Message-ID tells the flight from another one with the same id, after the database lost ids.
    pub mail: LoggedMail,
    /// When the verdict was known, day clock.
    pub at: DateTime<Utc>,
    pub latency: Duration,
    /// The end of the sender's cooldown, day clock.
    pub next_at: DateTime<Utc>,
    pub outcome: Outcome,
    /// When the partner answers, should this be a mail that was sent.
    pub reply: Option<ReplyWindow>,
    /// Its span as a W3C `traceparent`, where it is kept: its answer's span links to it.
    pub trace: Option<String>,
    /// The ledger refused it as it was. It carries only what its row and the counters need; the settle writes an event.
    pub is_reduced: bool,
}

/// Which flights a sweep takes.
#[derive(Clone, Debug)]
pub struct SweepRequest {
    pub worker: WorkerId,
    pub run: RunId,
    pub shards: Vec<ShardId>,
    /// The Message-IDs of this run's flights that are on their way or wait to be settled: never taken.
    pub running: Vec<String>,
    /// The Message-IDs that this run has asked for and knows that it never started: released at any age.
    pub unstarted: Vec<String>,
    /// The newest flight that this run has ever started. Newer ones of this run are left alone too: a sweep that was
    /// held up may arrive when what was started after `running` was read is finished, but not settled.
    pub newest: FlightId,
    /// Only flights older than this by the database's clock: the whole mail's deadline + 10 s.
    pub older_than: Duration,
    /// Day clock.
    pub now: DateTime<Utc>,
}

/// A worker's heartbeat in the ledger.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    pub worker: WorkerId,
    pub run: RunId,
    /// The shards that the worker holds.
    pub shards: Vec<ShardId>,
    /// What the worker says of itself: `starting`, `running`, `benched`, `clock-off`, `replaced`, `draining` or `stopped`.
    pub state: &'static str,
    /// The first refusal since the last heartbeat that was written; stored with an event. Day clock.
    pub refused_since: Option<DateTime<Utc>>,
    /// By how much the worker's day clock is off another server's, in words, when that was just found; stored with an event.
    pub clock_off: Option<String>,
    /// What the state changed to since the last heartbeat that was written; stored with an event.
    pub change: Option<StateChange>,
    /// Grants that this run has thrown away so far, because the ledger had answered their reserve too late.
    pub grants_expired: u64,
    /// Day clock.
    pub now: DateTime<Utc>,
}

/// A change of a worker's state that operators read of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// Its ticks failed in a row: it plans nothing until a probe works.
    Suspended,
    /// Another worker took its name.
    Replaced,
    /// It takes shards again.
    Resumed,
}

impl StateChange {
    /// The kind of its event.
    pub fn kind(self) -> &'static str {
        match self {
            StateChange::Suspended => "worker-suspended",
            StateChange::Replaced => "worker-replaced",
            StateChange::Resumed => "worker-resumed",
        }
    }

    /// The reason of its event.
    pub fn reason(self) -> &'static str {
        match self {
            StateChange::Suspended => "ticks-failed",
            StateChange::Replaced => "name-taken",
            StateChange::Resumed => "cause-ended",
        }
    }
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerPulse {
    /// The epochs of the shards, in order.
    pub epochs: Vec<Epoch>,
    /// The ledger's own clock.
    pub now: DateTime<Utc>,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Flights of other runs, and those of this run that it does not know: one FAILED row each with reason `uncertain`.
    pub uncertain: u64,
    /// Flights that this run knows that it never started (a lost answer to a reserve, a release that failed): released.
    pub released: u64,
}

/// The record of every mail. Postgres, or memory in the simulation.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Makes sure that rows of the next days can be written: at every start, and daily.
    async fn prepare(&self, now: DateTime<Utc>) -> Result<(), PortError>;

    /// Stores the heartbeat of a worker, which proves that it can write, and returns the epochs of its shards. Repeatable.
    ///
    /// Returns `Unwritable` if the ledger answers and refuses to write.
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<LedgerPulse, PortError>;

    /// Returns the epochs of `shards`, in order. Read *before* the lease is asked for.
    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError>;

    /// Returns the shards that `worker` was the last to raise, whatever run of it that was, in order.
    async fn shards_of(&self, worker: &WorkerId) -> Result<Vec<ShardId>, PortError>;

    /// Raises each shard's epoch by one where it still is as given, and names `worker` as its owner. Returns the new
    /// epoch for each, in order, or `None` where somebody raised it meanwhile.
    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError>;

    /// Returns what is left of the daily limits of `users` on `days`; nothing of a user that has no limit.
    async fn daily_room(&self, users: &[UserId], days: &[NaiveDate]) -> Result<Vec<UserDay>, PortError>;

    /// Writes down which mail hosts do not answer `worker` in time, in place of those before: all of them, in order. An event
    /// tells of a host that was not slow to any worker, and of one that is slow to none any more.
    async fn note_slow_hosts(&self, worker: &WorkerId, hosts: &[String], now: DateTime<Utc>) -> Result<(), PortError>;

    /// Returns how far the database has come, and whether it still has the row of `settled`; one that is older than
    /// yesterday counts as kept, for retention takes it away.
    async fn state(&self, settled: Option<&SettledMail>) -> Result<LedgerState, PortError>;

    /// Reserves what may go: takes a place in the day's quota, uses the pair, opens a flight. Returns an answer for
    /// each ask, in order. A reply that is due and is refused for good (its mailbox is paused, has answered half its quota
    /// today, or nobody is there to be answered) lapses with that reason.
    ///
    /// Returns `Unavailable` when nothing happened; `Unknown` when the answer to the commit was lost: then `release`.
    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError>;

    /// Releases what a reserve of `run` with these Message-IDs may have opened and no connection was opened for. Gives
    /// back everything that the reserve took: the quota slot, the pair, the attempt, the place in the user's day, and what the
    /// partner was to receive. Returns the number of released flights. Repeatable.
    async fn release(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError>;

    /// Closes flights with one log row each, moves the counters, sets the cooldown and the standings that the outcome
    /// asks for, schedules the reply to a mail that was sent. A flight that was swept meanwhile has its uncertain row corrected by a definite outcome. Repeatable:
    /// a flight that is settled already is left alone. Outcomes with fate `Unstarted` are released. Returns how many
    /// flights or rows it changed.
    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError>;

    /// Writes the row of each result that has neither a flight nor a row: the database has lost what it knew of the mail.
    /// Moves the counters of its day, uses its pair, and ends the thread that it answers. Returns how many rows it wrote.
    /// Repeatable.
    async fn log_lost(&self, worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Result<u64, PortError>;

    /// Settles as uncertain the flights of `shards` that nobody works on any more.
    async fn sweep(&self, sweep: &SweepRequest) -> Result<SweepReport, PortError>;
}
