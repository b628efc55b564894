//! Who watches over a seeded simulation. It keeps books of its own on every mail, from the reservation to the row, and
//! compares them with the record after every statement of every worker, every grant and every mail that a host takes.
//! What does not fit is a violation, with its instant.

#[path = "judge/burned.rs"]
mod burned;
#[path = "judge/ledger.rs"]
mod ledger;
#[path = "judge/mails.rs"]
mod mails;
#[path = "judge/owners.rs"]
mod owners;
#[path = "judge/set_back.rs"]
mod set_back;
#[path = "judge/states.rs"]
mod states;
#[path = "judge/waits.rs"]
mod waits;
#[path = "judge/windows.rs"]
mod windows;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Debug, Write},
    hash::{DefaultHasher, Hasher},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use chrono::{DateTime, NaiveDate, Utc};
use warmup::{
    domain::{
        id::{Epoch, FlightId, MailboxId, ReplyId, RunId, ShardId, UserId, WorkerId},
        lease::MachineTime,
    },
    ports::{Clock, LeaseKey},
    simulation::{MemoryDatabase, MemoryLeases},
};

use self::{burned::BurnedGrants, owners::Owners, set_back::Lost, states::States, waits::Waits};
pub use self::{
    ledger::By,
    waits::{Wait, WaitBound},
    windows::Windows,
};
use super::kinds::{Fault, Guard, Tally};

/// So long after Redis lost something, or did something late, a worker may believe in a lease that another one has: the
/// trust in it runs out, and only the epoch can refuse.
const LEASES_TOLD_LATE: Duration = Duration::from_secs(60);

/// A worker without a heartbeat for so long has no lease, and with each heartbeat its clock is compared.
const COMPARED_WITHIN: Duration = Duration::from_secs(15);

/// A mail on its way, as the books have it.
#[derive(Clone, Debug)]
struct Flying {
    mailbox: MailboxId,
    partner: MailboxId,
    day: NaiveDate,
    shard: ShardId,
    run: RunId,
    message_id: String,
    answers: Option<ReplyId>,
    round: i16,
    reserved_at: DateTime<Utc>,
    /// The partner's own day, on which a mail counts as received.
    partner_day: Option<NaiveDate>,
}

/// What a mailbox's day comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    sent: u16,
    failed: u16,
    uncertain: u16,
    replied: u16,
    flying: u16,
    answering: u16,
    /// Mails that were started or are about to be.
    tried: u16,
}

/// How a flight ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ended {
    status: &'static str,
    uncertain: bool,
}

#[derive(Default)]
struct Books {
    violations: Vec<String>,
    tally: Tally,
    flying: BTreeMap<FlightId, Flying>,
    ended: BTreeMap<FlightId, (Flying, Ended)>,
    message_ids: BTreeSet<String>,
    counts: BTreeMap<(MailboxId, NaiveDate), Counts>,
    pairs: BTreeSet<(NaiveDate, MailboxId, MailboxId, i16)>,
    threads: BTreeMap<ReplyId, FlightId>,
    /// Mails that a mailbox receives on its own day.
    received: BTreeMap<(MailboxId, NaiveDate), u32>,
    epochs: BTreeMap<ShardId, Epoch>,
    cool: BTreeMap<MailboxId, DateTime<Utc>>,
    /// Messages that a host took, and those of them to which it answered so.
    taken: BTreeSet<String>,
    answered: BTreeSet<String>,
    open: BTreeMap<String, BTreeMap<FlightId, (RunId, DateTime<Utc>)>>,
    frozen: BTreeSet<RunId>,
    last_reserved: BTreeMap<ShardId, DateTime<Utc>>,
    finished_dates: BTreeSet<NaiveDate>,
    leader: Option<RunId>,
    events_seen: usize,
    disturbed: Option<MachineTime>,
    asked_caps: BTreeMap<RunId, MachineTime>,
    waits: Waits,
    states: States,
    owners: Owners,
    /// Users and days whose limit was seen used up.
    at_limit: BTreeSet<(UserId, NaiveDate)>,
    burned: BurnedGrants,
    lost: Lost,
    /// When a worker's clock jumped, by its name.
    jumped: BTreeMap<String, MachineTime>,
    trace: Trace,
    journal: Vec<String>,
}

/// Everything that happened, in one number.
#[derive(Default)]
struct Trace(DefaultHasher, usize);

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// See the module.
pub struct Checker {
    clock: Arc<dyn Clock>,
    world: MemoryDatabase,
    leases: Arc<MemoryLeases>,
    books: Mutex<Books>,
    windows: Mutex<Windows>,
    /// Connections that a host may have, and how long one can last.
    connections: BTreeMap<String, usize>,
    mail_deadline: Duration,
    /// Tells every statement as it happens.
    aloud: bool,
}

/// What a simulation came to.
#[derive(Debug)]
pub struct CheckReport {
    pub violations: Vec<String>,
    pub tally: Tally,
    pub trace: u64,
    pub steps: usize,
    pub journal: Vec<String>,
    pub taken: usize,
    pub rows: usize,
    /// The wait of a due mailbox that used most of its bound.
    pub longest_wait: Option<Wait>,
    /// The most grants of one user that were thrown away on one day because its daily limit was reached.
    pub most_burned: u64,
}

impl Checker {
    pub fn new(
        clock: Arc<dyn Clock>,
        world: MemoryDatabase,
        leases: Arc<MemoryLeases>,
        windows: Windows,
        mail_deadline: Duration,
        aloud: bool,
    ) -> Checker {
        let connections = windows.connections();
        let (books, windows) = (Mutex::default(), Mutex::new(windows));
        Checker { clock, world, leases, books, windows, connections, mail_deadline, aloud }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    pub fn fault(&self, fault: Fault) {
        self.books().tally.fault(fault);
    }

    pub fn guard(&self, guard: Guard, times: u64) {
        self.books().tally.guard(guard, times);
    }

    /// Notes a happening for whoever reads one seed, and in the trace.
    pub fn happens(&self, what: impl Into<String>) {
        let what = what.into();
        self.trace("", "happens", &what);
        let line = format!("{} {what}", self.clock.now().format("%H:%M:%S%.3f"));
        self.books().journal.push(line);
    }

    pub fn violated(&self, what: String) {
        let line = format!("{} {what}", self.clock.now().format("%H:%M:%S%.3f"));
        self.books().violations.push(line);
    }

    fn demand(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.violated(what());
        }
    }

    /// Takes one step into the trace.
    pub fn trace(&self, who: &str, what: &str, how: &dyn Debug) {
        let now = self.clock.now().timestamp_micros();
        let mut books = self.books();
        books.trace.1 += 1;
        write!(books.trace, "{now} {who} {what} {how:?}").expect("a hasher takes everything");
        if self.aloud {
            let line = format!("{} {who} {what} {how:?}", self.clock.now().format("%H:%M:%S%.3f"));
            books.journal.push(line);
        }
    }

    /// Redis lost something, or does something late.
    pub fn disturbed(&self) {
        self.books().disturbed = Some(self.clock.machine());
    }

    fn leases_are_sure(&self) -> bool {
        let (now, disturbed) = (self.clock.machine(), self.books().disturbed);
        disturbed.is_none_or(|at| now.since(at) > LEASES_TOLD_LATE)
    }

    /// I6: whoever begins something of a shard holds its lease.
    fn holds_lease(&self, run: RunId, shard: ShardId, to: &str) {
        if self.leases_are_sure() {
            let holder = self.leases.holders().get(&LeaseKey::Shard(shard)).copied();
            self.demand(holder == Some(run), || format!("I6: {run} begins {to} of shard {shard}, held by {holder:?}"));
        }
    }

    pub fn frozen(&self, run: Option<RunId>, frozen: bool) {
        let Some(run) = run else { return };
        let mut books = self.books();
        if frozen {
            books.frozen.insert(run)
        } else {
            books.frozen.remove(&run)
        };
    }

    /// Mails of this run that are on their way.
    pub fn flying_of(&self, run: Option<RunId>) -> usize {
        self.books().flying.values().filter(|flying| Some(flying.run) == run).count()
    }

    /// Who sends a mail that is on its way.
    pub fn mailbox_of(&self, message_id: &str) -> Option<MailboxId> {
        self.books().flying.values().find(|flying| flying.message_id == message_id).map(|flying| flying.mailbox)
    }

    /// How long ago the caps granted this run anything.
    pub fn since_caps(&self, run: Option<RunId>) -> Option<Duration> {
        let asked = self.books().asked_caps.get(&run?).copied();
        asked.map(|asked| self.clock.machine().since(asked))
    }

    /// A run was given the leadership.
    pub fn leads(&self, run: RunId) {
        if self.books().leader.replace(run).is_some_and(|before| before != run) {
            self.guard(Guard::LeadershipMoved, 1);
            if self.world.cleanups().values().any(|row| row.finished) {
                self.guard(Guard::DutiesDoneAlready, 1);
            }
        }
    }

    /// When a shard last reserved anything.
    pub fn last_reserved(&self, shard: ShardId) -> Option<DateTime<Utc>> {
        self.books().last_reserved.get(&shard).copied()
    }

    /// Until when a mailbox cools down.
    pub fn cool_from(&self, mailbox: MailboxId) -> Option<DateTime<Utc>> {
        self.books().cool.get(&mailbox).copied()
    }

    /// Notes that a user's daily limit is used up.
    pub fn at_limit(&self, user: UserId, day: NaiveDate) {
        if self.books().at_limit.insert((user, day)) {
            self.fault(Fault::UserAtLimit);
        }
    }

    /// Notes that the clock of the worker called `name` jumps.
    pub fn clock_jumped(&self, name: &str) {
        let now = self.clock.machine();
        self.books().jumped.insert(name.to_owned(), now);
    }

    /// Says whether the clock of `worker` jumped so lately that no heartbeat may have compared it since.
    fn jumped_just_now(&self, worker: &WorkerId) -> bool {
        let (now, jumped) = (self.clock.machine(), self.books().jumped.get(&worker.0).copied());
        jumped.is_some_and(|jumped| now.since(jumped) <= COMPARED_WITHIN)
    }

    /// Says whether `mailbox` has not written to `partner` on `day` in that round.
    pub fn is_unused(&self, day: NaiveDate, mailbox: MailboxId, partner: MailboxId, round: i16) -> bool {
        !self.books().pairs.contains(&(day, mailbox, partner, round))
    }

    /// Returns the mails of workers that began before `before` and have not ended.
    pub fn flying_since(&self, before: DateTime<Utc>) -> Vec<FlightId> {
        let books = self.books();
        books.flying.iter().filter(|(_, flying)| flying.reserved_at < before).map(|(id, _)| *id).collect()
    }

    pub fn is_flying(&self, mailbox: MailboxId) -> bool {
        self.books().flying.values().any(|flying| flying.mailbox == mailbox)
    }

    /// Looks at all of the record, and not only at what a statement touched.
    pub fn audit(&self) {
        self.world.audit().into_iter().for_each(|violation| self.violated(violation));
    }

    /// What is told in the events since the last look.
    fn read_events(&self, by: &By<'_>) {
        let events = self.world.events_after(self.books().events_seen);
        self.books().events_seen += events.len();
        self.look_at_states(&events);
        self.look_at_owners(by, &events);
        for event in events {
            self.trace("", "event", &event);
            let guard = match (event.kind.as_str(), event.reason.as_str()) {
                ("host-paused", "auth-breaker" | "tls-breaker") => Guard::BreakerOpened,
                ("host-paused", reason) if reason.starts_with("stalled-at-") => Guard::HostStalled,
                ("host-paused", _) => Guard::HostPaused,
                ("sender-restored", _) => Guard::SenderRestored,
                ("host-recovered", _) => Guard::HostRecovered,
                ("sender-paused" | "sender-disabled", _) => Guard::SenderDisabled,
                ("partner-paused" | "partner-excluded", _) => Guard::PartnerExcluded,
                ("partner-avoided", _) => Guard::PartnerAvoided,
                ("host-suspected", _) => Guard::HostSuspected,
                ("domain-paused", _) => Guard::DomainRested,
                _ => continue,
            };
            self.guard(guard, 1);
        }
    }

    /// The last look. What a host took is accounted for, and nothing else is SENT.
    pub fn verdict(&self) -> CheckReport {
        self.audit();
        for (id, row) in self.world.logs() {
            let known = self.books().ended.get(&id).map(|(_, ended)| ended.status);
            self.demand(known == Some(row.status), || {
                format!("flight {id}: {} in the log, {known:?} here", row.status)
            });
        }
        let lapsed = self.world.replies().iter().filter(|(_, row)| row.state == "lapsed").count();
        self.guard(Guard::ReplyLapsed, lapsed as u64);
        let books = std::mem::take(&mut *self.books());
        let mut violations = books.violations;
        let accounted: BTreeSet<&String> = books
            .ended
            .values()
            .filter(|(_, ended)| ended.status != "FAILED" || ended.uncertain)
            .map(|(flying, _)| &flying.message_id)
            .chain(books.flying.values().map(|flying| &flying.message_id))
            .collect();
        let lost = books.taken.iter().filter(|id| !accounted.contains(id) && !books.lost.is_accounted(id));
        violations.extend(lost.map(|id| format!("a host took {id}, and the log says that it was refused")));
        CheckReport {
            violations,
            tally: books.tally,
            trace: books.trace.0.finish(),
            steps: books.trace.1,
            journal: books.journal,
            taken: books.taken.len(),
            rows: books.ended.len(),
            longest_wait: books.waits.longest(),
            most_burned: books.burned.most(),
        }
    }
}
