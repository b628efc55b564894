//! `SimulatedFleet` holds the imagined mailboxes, their days, and the ports of the simulated workers.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use super::{
    SimulationInput,
    gauges::{CountedCaps, CountedDice},
    hosts::ImaginedHosts,
};
use crate::{
    adapters::from_settings,
    app::wiring,
    config::Settings,
    domain::{
        content::{self, Texts},
        enrolment::{DEFAULT_REPLY_RATE, DEFAULT_WINDOW},
        id::{FleetId, MailboxId, UserId, WorkerId},
        mailbox::{Endpoint, Security},
        ramp::Ramp,
        time::{Schedule, Weekdays, Window},
    },
    ports::Clock,
    simulation::{
        MemoryCaps, MemoryDatabase, MemoryLeases, MemoryMailbox, MemoryNotifier, VirtualClock,
        database::{MailboxState, Tally},
    },
    worker::{Ports, WorkerSettings},
};

/// The first simulated day: a Monday far from any change of clocks.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 1, 12).expect("a date that exists");

/// The time between the start of the workers and the first window. They share the shards within two heartbeats.
const BEFORE: TimeDelta = TimeDelta::minutes(2);

/// The templates of the simulated mails. Their content has no influence on the result.
const WORDS: &str = "=== mail\nSubject: Notes\n\nSee you.\n=== reply\n\nYes.\n";

/// A `SimulatedFleet` is the state that all simulated workers share.
pub(super) struct SimulatedFleet {
    settings: WorkerSettings,
    clock: Arc<dyn Clock>,
    begins: DateTime<Utc>,
    ends: DateTime<Utc>,
    pub(super) schedule: Schedule,
    pub(super) owed: u64,
    world: MemoryDatabase,
    leases: Arc<MemoryLeases>,
    bell: MemoryNotifier,
    pub(super) caps: Arc<CountedCaps>,
    pub(super) dice: Arc<CountedDice>,
    pub(super) hosts: Arc<ImaginedHosts>,
    texts: Arc<Texts>,
}

impl SimulatedFleet {
    pub(super) fn set(settings: &Settings, question: &SimulationInput) -> anyhow::Result<SimulatedFleet> {
        let schedule = Schedule { zone: settings.timezone, window: window(), days: Weekdays::ALL };
        let sending = |day| schedule.sending(day, settings.active_hours).context("every day is a sending day");
        let last_day = FIRST_DAY + Days::new(u64::from(question.days) - 1);
        let (begins, ends) = (sending(FIRST_DAY)?.start - BEFORE, sending(last_day)?.end);
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(begins));
        let world = MemoryDatabase::new(Arc::clone(&clock), settings.shards, settings.user_daily_cap).forgetful();
        let quota = settings.min_daily_quota;
        (1..=question.mailboxes).for_each(|number| world.enrol(mailbox(number, question, quota, schedule)));
        let caps = MemoryCaps::new(from_settings::caps(settings), Arc::clone(&clock)).context("caps")?;
        let latency = question.latency;
        Ok(SimulatedFleet {
            settings: WorkerSettings {
                distributed: settings.distributed_mode || question.workers > 1,
                host: "simulation".to_owned(),
                ..wiring::worker_settings(settings, WorkerId("simulation".to_owned()), FleetId::default())
            },
            begins,
            ends,
            schedule,
            owed: u64::from(question.mailboxes) * u64::from(question.days) * u64::from(quota > 0),
            leases: Arc::new(MemoryLeases::new(Arc::clone(&clock))),
            bell: MemoryNotifier::cast(),
            caps: Arc::new(CountedCaps::over(caps)),
            dice: Arc::new(CountedDice::seeded(question.seed)),
            hosts: Arc::new(ImaginedHosts::new(Arc::clone(&clock), latency, settings.mail_deadline(), question.seed)),
            texts: Arc::new(Texts::own(content::read(WORDS).expect("these templates are sound"))),
            clock,
            world,
        })
    }

    pub(super) fn ports(&self) -> Ports {
        let world = Arc::new(self.world.clone());
        Ports {
            clock: Arc::clone(&self.clock),
            entropy: self.dice.clone(),
            mailboxes: world.clone(),
            ledger: world.clone(),
            duties: world.clone(),
            orders: world,
            caps: self.caps.clone(),
            leases: self.leases.clone(),
            members: self.leases.clone(),
            mailer: self.hosts.clone(),
            bell: Arc::new(self.bell.another()),
        }
    }

    pub(super) fn worker_settings(&self, number: u32) -> WorkerSettings {
        WorkerSettings { worker: WorkerId(format!("worker-{number}")), ..self.settings.clone() }
    }

    pub(super) fn texts(&self) -> Arc<Texts> {
        Arc::clone(&self.texts)
    }

    /// Returns the length of the simulation in minutes.
    pub(super) fn minutes(&self) -> u64 {
        (self.ends - self.begins).num_minutes().unsigned_abs()
    }

    pub(super) async fn sleep_to_minute(&self, minute: u64) {
        let minutes = i64::try_from(minute).unwrap_or(i64::MAX);
        self.clock.sleep_until(self.begins + TimeDelta::minutes(minutes)).await;
    }

    pub(super) fn tally(&self) -> Tally {
        self.world.tally()
    }

    pub(super) fn first_day(&self) -> NaiveDate {
        FIRST_DAY
    }

    /// Returns the length of a mailbox's window.
    pub(super) fn window_time(&self) -> Duration {
        let minutes = self.schedule.window.end() - self.schedule.window.start();
        Duration::from_secs(u64::from(minutes) * 60)
    }
}

/// Returns the default window of an enrolment.
fn window() -> Window {
    DEFAULT_WINDOW.parse().expect("the default window is a window")
}

/// Returns a mailbox with a completed ramp. Mailboxes differ only in number and owner.
fn mailbox(number: u32, question: &SimulationInput, quota: u16, schedule: Schedule) -> MemoryMailbox {
    let user = question.owner_of(number);
    MemoryMailbox {
        id: MailboxId(i64::from(number)),
        user: UserId(i64::from(user)),
        email: format!("box{number}@user{user}.example"),
        display_name: String::new(),
        endpoint: Endpoint { host: format!("mail.user{user}.example"), port: 465, security: Security::Tls },
        schedule,
        ramp: Ramp { start: quota, step: 0, daily_max: quota },
        grown: 0,
        reply_rate: DEFAULT_REPLY_RATE,
        enabled: true,
        sending: MailboxState::Active,
        receiving: MailboxState::Active,
    }
}
