//! `Ledger` records every mail, from its reservation to its single log row. Each operation is one atomic statement.
//!
//! ```text
//!                 reserve                    settle(sent | refused | uncertain)
//!   quota slot ────────────▶ in flight ───────────────────────────────────────▶ one log row
//!                                │  └──────────── sweep (orphans) ────────────▶ one log row, uncertain
//!                                └── release (no connection was opened) ──────▶ no row, the slot is returned
//!                                      a late definite answer corrects its own uncertain row, never adds one
//!
//!   a result that the database does not know (it was set back) ──────────────▶ one log row, written late
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

/// A possible partner, and the round of the day's pairing in which the pair counts as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartnerOption {
    pub partner: MailboxId,
    pub round: i16,
}

/// One mail or reply to reserve.
#[derive(Clone, Debug, PartialEq)]
pub struct ReserveRequest {
    pub mailbox: MailboxId,
    pub shard: ShardId,
    pub day: NaiveDate,
    /// The attempts of today that the planner knows. If the row has another number, the refusal is `Stale`. Ignored for
    /// a reply.
    pub attempts: u16,
    /// The possible partners in order of preference. The ledger takes the first that can receive, is unused in its
    /// round, and has not received its maximum on its own day. A reply has one: the sender of the answered mail.
    pub choices: Vec<PartnerOption>,
    /// The Message-ID without angle brackets: `uuid@domain of the sender`.
    pub message_id: String,
    pub subject: String,
    /// The scheduled reply. It takes no quota slot and no pair, only its thread.
    pub answers: Option<ReplyId>,
}

/// Mails to reserve together, at most one per mailbox.
#[derive(Clone, Debug)]
pub struct ReserveBatch {
    pub worker: WorkerId,
    pub run: RunId,
    /// The shards of the mails, each with the epoch under which this worker owns it.
    pub epochs: Vec<(ShardId, Epoch)>,
    /// The time of the reservation. Day clock.
    pub now: DateTime<Utc>,
    /// The requests in order of urgency.
    pub asks: Vec<ReserveRequest>,
}

/// The reason why a mail was not reserved. The reserve has then changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The fleet is stopped by order.
    FleetStopped,
    /// Another worker owns the shard: its epoch is higher.
    ShardLost,
    /// The sender is paused, disabled or removed.
    SenderPaused,
    /// All mailboxes of the sender's mail host are paused.
    HostPaused,
    /// All mailboxes of the sender's domain are paused.
    DomainPaused,
    /// The mailbox is in its cooldown, or has another mail or reply in flight.
    NotCool,
    /// Sent, uncertain and in-flight mails have reached the quota. For a reply: today's replies have reached half of
    /// it.
    QuotaFull,
    /// The row has other attempts than the request, or 2 x quota attempts are used. For a reply: it is not due, or
    /// expired.
    Stale,
    /// No partner of the request is able to receive and unused.
    NoPartner,
    /// Some partners can receive and are unused, but all of them have received their maximum on their own day.
    PartnersFull,
    /// The daily limit of the mailbox's user is reached.
    UserDailyLimit,
}

impl Refusal {
    /// Returns the name of the refusal in metrics, in events and in the answer of the database.
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

    /// All refusals, for tables and tests.
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

/// The sender or the recipient of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    pub mailbox: MailboxId,
    pub email: String,
    pub display_name: String,
}

/// A reserved mail with everything that its submission needs.
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
    /// The scheduled reply, as in the request.
    pub answers: Option<ReplyId>,
    /// The reply policy of the recipient.
    pub answering: ReplyPolicy,
    pub endpoint: Endpoint,
    pub username: String,
    /// The password, sealed under the master key with the sender's id and the allowed endpoint. Only the mailer opens
    /// it.
    pub sealed_password: Vec<u8>,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reservation {
    Reserved(Box<Flight>),
    Refused(Refusal),
}

/// The values of a mail for its log row, so that the row can be written even if the database has lost the flight.
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
    /// Returns the row values of `flight`; `thread` is the Message-ID of the mail that it answers.
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

/// The result of one flight.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    pub flight: FlightId,
    pub batch: BatchId,
    pub mailbox: MailboxId,
    pub partner: MailboxId,
    pub day: NaiveDate,
    /// The mail. Its Message-ID distinguishes the flight from another one with the same id, after the database lost
    /// ids.
    pub mail: LoggedMail,
    /// The time of the outcome. Day clock.
    pub at: DateTime<Utc>,
    pub latency: Duration,
    /// The end of the sender's cooldown. Day clock.
    pub next_at: DateTime<Utc>,
    pub outcome: Outcome,
    /// The reply to schedule if the server accepted the mail.
    pub reply: Option<ReplyWindow>,
    /// The span of the mail as a W3C `traceparent`, if it is recorded: the span of its reply links to it.
    pub trace: Option<String>,
    /// True if the ledger refused the full result. It has only the values of its row and the counters; the settle
    /// writes an event.
    pub is_reduced: bool,
}

/// The flights that a sweep settles or releases.
#[derive(Clone, Debug)]
pub struct SweepRequest {
    pub worker: WorkerId,
    pub run: RunId,
    pub shards: Vec<ShardId>,
    /// The Message-IDs of this run's mails that are in flight: never settled here.
    pub running: Vec<String>,
    /// The Message-IDs that this run has requested and certainly not started: released at any age.
    pub unstarted: Vec<String>,
    /// The highest flight id that this run has ever started. The sweep ignores newer flights of this run too. A delayed
    /// sweep may arrive when a mail that started after the read of `running` is finished but not settled.
    pub newest: FlightId,
    /// The minimum age of a flight by the clock of the database: the mail deadline + 10 s.
    pub older_than: Duration,
    /// The time of the sweep. Day clock.
    pub now: DateTime<Utc>,
}

/// The heartbeat of a worker in the ledger.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    pub worker: WorkerId,
    pub run: RunId,
    /// The shards that the worker owns.
    pub shards: Vec<ShardId>,
    /// The state of the worker: `starting`, `running`, `benched`, `clock-off`, `replaced`, `draining` or `stopped`.
    pub state: &'static str,
    /// The time of the first refused write since the last stored heartbeat; stored with an event. Day clock.
    pub refused_since: Option<DateTime<Utc>>,
    /// The difference of the worker's day clock to a server's clock, in words, if just detected; stored with an event.
    pub clock_off: Option<String>,
    /// The change of the state since the last stored heartbeat; stored with an event.
    pub change: Option<StateChange>,
    /// The number of grants of this run that expired because the ledger answered their reserve too late.
    pub grants_expired: u64,
    /// The time of the heartbeat. Day clock.
    pub now: DateTime<Utc>,
}

/// A change of a worker's state that is reported to operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// Several ticks failed in a row; the worker plans nothing until a probe succeeds.
    Suspended,
    /// Another worker took the name of this worker.
    Replaced,
    /// The worker acquires shards again.
    Resumed,
}

impl StateChange {
    /// Returns the kind of the event.
    pub fn kind(self) -> &'static str {
        match self {
            StateChange::Suspended => "worker-suspended",
            StateChange::Replaced => "worker-replaced",
            StateChange::Resumed => "worker-resumed",
        }
    }

    /// Returns the reason code of the event.
    pub fn reason(self) -> &'static str {
        match self {
            StateChange::Suspended => "ticks-failed",
            StateChange::Replaced => "name-taken",
            StateChange::Resumed => "cause-ended",
        }
    }
}

/// The answer of the ledger to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerPulse {
    /// The epochs of the shards, in the order of the request.
    pub epochs: Vec<Epoch>,
    /// The time of the ledger's own clock.
    pub now: DateTime<Utc>,
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// The number of flights of other runs, and of unknown flights of this run: one FAILED row each, reason
    /// `uncertain`.
    pub uncertain: u64,
    /// The number of released flights: this run certainly never started them (a lost answer to a reserve, a failed
    /// release).
    pub released: u64,
}

/// The record of every mail: Postgres, or memory in the simulation.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Ensures that rows of the next days can be written. Called at every start, and daily.
    async fn prepare(&self, now: DateTime<Utc>) -> Result<(), PortError>;

    /// Stores the heartbeat of a worker, which proves that it can write, and returns the epochs of its shards.
    /// Repeatable.
    ///
    /// Returns `Unwritable` if the ledger answers and refuses to write.
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<LedgerPulse, PortError>;

    /// Returns the epochs of `shards`, in order. The caller reads them *before* it requests the leases.
    async fn epochs(&self, shards: &[ShardId]) -> Result<Vec<Epoch>, PortError>;

    /// Returns the shards whose epoch `worker` was the last to raise, in any of its runs, in order.
    async fn shards_of(&self, worker: &WorkerId) -> Result<Vec<ShardId>, PortError>;

    /// Raises the epoch of each shard by one if it still has the given value, and stores `worker` as its owner. Returns
    /// the new epochs in order, `None` for a shard whose epoch another worker raised meanwhile.
    async fn raise(&self, worker: &WorkerId, read: &[(ShardId, Epoch)]) -> Result<Vec<Option<Epoch>>, PortError>;

    /// Returns the rest of the daily limits of `users` on `days`; no entry for a user without a limit.
    async fn daily_room(&self, users: &[UserId], days: &[NaiveDate]) -> Result<Vec<UserDay>, PortError>;

    /// Stores all mail hosts that are slow for `worker`, in order, and replaces the previous list. Writes an event for
    /// a host that was slow for no worker before, and for a host that is slow for no worker now.
    async fn note_slow_hosts(&self, worker: &WorkerId, hosts: &[String], now: DateTime<Utc>) -> Result<(), PortError>;

    /// Returns the progress of the database, and whether it still has the row of `settled`. A row from before yesterday
    /// counts as present, because retention may delete it.
    async fn state(&self, settled: Option<&SettledMail>) -> Result<LedgerState, PortError>;

    /// Reserves the mails that may go: each takes a quota slot of the day, uses its pair, and opens a flight. Returns
    /// one answer per request, in order. A due reply that can never go lapses with its reason. Its mailbox
    /// may be paused or have answered half its quota today, or the mail's sender can't receive it.
    ///
    /// Returns `Unavailable` when nothing happened. Returns `Unknown` when the answer to the commit was lost; the
    /// caller then calls `release`.
    async fn reserve(&self, batch: &ReserveBatch) -> Result<Vec<Reservation>, PortError>;

    /// Releases the flights of `run` with these Message-IDs, for which no connection was opened. Gives back
    /// all that the reserve took: quota slot, pair, attempt, slot of the user's daily limit, and the partner's received
    /// mail. Returns the number of released flights. Repeatable.
    async fn release(&self, run: RunId, message_ids: &[String], now: DateTime<Utc>) -> Result<u64, PortError>;

    /// Closes flights with one log row each. Updates the counters, sets the cooldown and the mailbox states that the
    /// outcome requires, and schedules the reply to a sent mail. A definite outcome corrects the uncertain row of a
    /// flight that was swept meanwhile. An outcome with fate `Unstarted` is released. Returns the number of changed
    /// flights and rows. Repeatable: a settled flight is not changed again.
    async fn settle(&self, worker: &WorkerId, results: &[Settlement]) -> Result<u64, PortError>;

    /// Writes the row of each result without a flight and without a row: the database has lost the mail. Updates the
    /// counters of its day, uses its pair, and ends the thread that it answers. Returns the number of written rows.
    /// Repeatable.
    async fn log_lost(&self, worker: &WorkerId, results: &[Settlement], now: DateTime<Utc>) -> Result<u64, PortError>;

    /// Settles the orphans of `shards` as uncertain, and releases the mails that this run certainly did not start.
    async fn sweep(&self, sweep: &SweepRequest) -> Result<SweepReport, PortError>;
}
