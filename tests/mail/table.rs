//! The whole reply table over real sockets, a test a row: a host answers so at that moment, the client reads it, the
//! verdict is recorded, and then each of the four sides and the place in the day stand as the row says.
//!
//! The rows here are written from what providers and RFCs document, not from the table in `domain/outcome`; `covered`
//! holds the two against one another, so that neither has a row that the other does not know.

#[path = "table/auth.rs"]
mod auth;
#[path = "table/dot.rs"]
mod dot;
#[path = "table/host.rs"]
mod host;
#[path = "table/mail.rs"]
mod mail;
#[path = "table/provider.rs"]
mod provider;
#[path = "table/rcpt.rs"]
mod rcpt;
#[path = "table/worded.rs"]
mod worded;

use std::{sync::Arc, time::Duration};

use uuid::Uuid;
use warmup::{
    demo::sink::certificate::{Identity, self_signed},
    domain::{
        id::{MailboxId, RunId, UserId, WorkerId},
        mailbox::{Endpoint, Security},
        outcome::{
            Effects, Outcome, OutcomeKind, Penalty,
            table::{self, Row as TableRow},
        },
        ramp::Ramp,
        time::{LocalDates, Schedule, Weekdays, Window},
    },
    ports::{
        Flight, Ledger, LoggedMail, Mailer, PlanningStore, Reservation, ReserveBatch, SendPermit, Settlement,
        Submission,
    },
    simulation::{
        MemoryDatabase, MemoryMailbox,
        database::{EventRow, MailboxState},
    },
};
use warmup_support::{
    conformance::ledger::{DAY, SHARD, ask, noon},
    hand_clock::HandClock,
    smtp::{Act, FaultyHost, Moment, Script},
};

use crate::world::{PASSWORD, USERNAME, ca_file, config, mailer};

/// One row: what is said at which moments, and what follows.
pub struct Row {
    at: &'static [Moment],
    says: &'static str,
    fate: OutcomeKind,
    reason: &'static str,
    whom: Effects,
}

impl Row {
    /// What follows for the partner beyond the pair: a refusal that passes within the hour concerns the pair only
    /// (`outcome/blame.rs`).
    fn partner_itself(&self) -> Option<Penalty> {
        self.whom.partner.filter(|measure| measure.pause().is_none_or(|pause| pause >= Duration::from_hours(1)))
    }
}

/// Rows with a test each.
macro_rules! rows {
    ($($name:ident: [$($moment:ident)+] $says:literal => $fate:ident $reason:literal, $whom:expr;)+) => {
        pub const ROWS: &[$crate::table::Row] = &[$($crate::table::Row {
            at: &[$(warmup_support::smtp::Moment::$moment),+],
            says: $says,
            fate: warmup::domain::outcome::OutcomeKind::$fate,
            reason: $reason,
            whom: $whom,
        }),+];
        $crate::table::rows!(@tests 0usize; $($name)+);
    };
    (@tests $at:expr; $name:ident $($rest:ident)*) => {
        #[tokio::test]
        async fn $name() {
            $crate::table::check(&ROWS[$at]).await;
        }
        $crate::table::rows!(@tests $at + 1; $($rest)*);
    };
    (@tests $at:expr;) => {};
}
use rows;

const NOBODY: Effects = Effects { sender: None, partner: None, host: None, domain: None };
const DISABLED: Penalty = Penalty::Disable;
const COUNTED: Penalty = Penalty::Strike;
/// The host's, once several senders meet it.
const STALLED: Penalty = Penalty::Stall;
/// An hour, and half the plan.
const EASED: Penalty = Penalty::PauseAndHalve(Duration::from_secs(3600));

const fn minutes(minutes: u64) -> Penalty {
    Penalty::Pause(Duration::from_secs(60 * minutes))
}

const fn hours(hours: u64) -> Penalty {
    minutes(60 * hours)
}

const fn sender(measure: Penalty) -> Effects {
    Effects { sender: Some(measure), ..NOBODY }
}

const fn partner(measure: Penalty) -> Effects {
    Effects { partner: Some(measure), ..NOBODY }
}

const fn host(measure: Penalty) -> Effects {
    Effects { host: Some(measure), ..NOBODY }
}

const fn domain(measure: Penalty) -> Effects {
    Effects { domain: Some(measure), ..NOBODY }
}

/// Mailbox 1 writes to mailbox 2 through a host that says this at that moment.
struct Record {
    world: MemoryDatabase,
    host: FaultyHost,
    identity: Identity,
}

impl Record {
    async fn open(moment: Moment, says: &str) -> Record {
        let identity = self_signed(&["127.0.0.1"]).unwrap();
        let script = if moment == Moment::Starttls { Script::starttls(identity.clone()) } else { Script::usual() };
        let host = FaultyHost::start(script.at(moment, [Act::say(&format!("{says}\r\n"))])).await;
        let security = if moment == Moment::Starttls { Security::Starttls } else { Security::None };
        let world = MemoryDatabase::new(Arc::new(HandClock::default()), 1, 1.0);
        for id in [1, 2, 3] {
            world.enrol(mailbox(id, Endpoint { host: "127.0.0.1".into(), port: host.port(), security }));
        }
        Record { world, host, identity }
    }

    /// Reserves, submits over the socket, settles.
    async fn mail(&self) -> Outcome {
        let flight = self.reserve().await;
        let (_folder, ca) = ca_file(&self.identity.pem);
        let mailer = mailer(warmup::adapters::smtp::SmtpConfig { tls_ca_file: Some(ca), ..config() });
        let mail = Submission { flight: flight.clone(), text: "See you at noon.\n".into(), date: noon(), thread: None };
        let delivery = mailer.send(&mail, &SendPermit::always()).await;
        let outcome = delivery.outcome.clone();
        let result = Settlement {
            reply: None,
            trace: None,
            is_reduced: false,
            flight: flight.id,
            batch: flight.batch,
            mailbox: flight.sender.mailbox,
            partner: flight.recipient.mailbox,
            day: DAY,
            mail: LoggedMail::from_flight(&flight, None),
            at: noon(),
            latency: delivery.latency,
            next_at: noon(),
            outcome: delivery.outcome,
        };
        assert_eq!(self.world.settle(&WorkerId("table".into()), &[result]).await.unwrap(), 1);
        outcome
    }

    async fn reserve(&self) -> Flight {
        self.world.roll_over_days(&[SHARD], &LocalDates::at(noon()), noon()).await.unwrap();
        let epoch = self.world.epochs(&[SHARD]).await.unwrap()[0];
        let batch = ReserveBatch {
            worker: WorkerId("table".into()),
            run: RunId(Uuid::now_v7()),
            epochs: vec![(SHARD, epoch)],
            now: noon(),
            asks: vec![ask(1, 0, &[2])],
        };
        let Reservation::Reserved(flight) = self.world.reserve(&batch).await.unwrap().remove(0) else {
            panic!("a fresh mailbox may send")
        };
        Flight { username: USERNAME.into(), sealed_password: PASSWORD.into(), ..*flight }
    }

    /// How a mailbox stands, in words, as a sender and as a partner.
    fn standing(&self, mailbox: i64) -> (&'static str, &'static str) {
        let words = |standing: &MailboxState| match standing {
            MailboxState::Active => "active",
            MailboxState::Paused { .. } => "paused",
            MailboxState::Stopped { .. } => "stopped",
        };
        let mailbox = self.world.mailbox(MailboxId(mailbox)).unwrap();
        (words(&mailbox.sending), words(&mailbox.receiving))
    }
}

fn mailbox(id: i64, endpoint: Endpoint) -> MemoryMailbox {
    MemoryMailbox {
        id: MailboxId(id),
        user: UserId(1),
        email: format!("box{id}@d{id}.test"),
        display_name: String::new(),
        endpoint,
        schedule: Schedule {
            zone: chrono_tz::UTC,
            window: Window::new(0, 1440).unwrap(),
            days: Weekdays::from_bits(127).unwrap(),
        },
        ramp: Ramp { start: 3, step: 3, daily_max: 30 },
        reply_rate: 0,
        grown: 9,
        enabled: true,
        sending: MailboxState::Active,
        receiving: MailboxState::Active,
    }
}

/// How somebody stands after a measure.
fn after(measure: Option<Penalty>) -> &'static str {
    match measure {
        None | Some(Penalty::Strike | Penalty::Stall) => "active",
        Some(Penalty::Pause(_) | Penalty::PauseAndHalve(_)) => "paused",
        Some(Penalty::Disable) => "stopped",
    }
}

async fn check(row: &Row) {
    for moment in row.at {
        let record = Record::open(*moment, row.says).await;
        let outcome = record.mail().await;
        let about = format!("{moment:?} {}: {outcome:?}", row.says);
        assert_eq!((outcome.fate, outcome.reason), (row.fate, row.reason), "{about}");
        assert_eq!(outcome.effects, row.whom, "{about}");
        let code = outcome.reply.as_ref().map(|reply| reply.code.to_string());
        assert_eq!(code.as_deref(), Some(&row.says[..3]), "{about}");

        assert_eq!(record.standing(1), (after(row.whom.sender), "active"), "the sender: {about}");
        assert_eq!(record.standing(2), ("active", after(row.partner_itself())), "the partner: {about}");
        assert_eq!(record.standing(3), ("active", "active"), "somebody else: {about}");
        let kept = matches!(row.fate, OutcomeKind::Sent | OutcomeKind::Uncertain);
        assert_eq!(record.world.day(MailboxId(1), DAY).unwrap().reserved, u16::from(kept), "the place: {about}");
        assert_eq!(record.world.audit(), [""; 0]);
        assert_told(&record.world.events(), row, &about);
        assert_eq!(record.host.connections(), 1, "never tried twice: {about}");
    }
}

/// Each side that changed is told with the reason, and no other.
fn assert_told(events: &[EventRow], row: &Row, about: &str) {
    let mut told: Vec<&str> = events.iter().map(|event| event.kind.split('-').next().unwrap_or_default()).collect();
    told.retain(|side| *side != "mail");
    let sides = [
        ("sender", row.whom.sender),
        ("partner", row.partner_itself()),
        ("host", row.whom.host),
        ("domain", row.whom.domain),
    ];
    let mut changed: Vec<&str> = Vec::new();
    for (side, measure) in sides {
        match measure {
            None | Some(Penalty::Strike | Penalty::Stall) => {}
            Some(Penalty::PauseAndHalve(_)) => changed.extend([side, side]),
            Some(_) => changed.push(side),
        }
    }
    assert_eq!(told, changed, "{about}");
    assert!(events.iter().all(|event| event.reason == row.reason), "{events:?} {about}");
}

/// Neither has a row that the other does not know.
#[tokio::test]
async fn every_row_of_the_table_is_met_over_a_socket_and_no_test_meets_another_ones() {
    let mut met: Vec<&'static TableRow> = Vec::new();
    let all = [host::ROWS, auth::ROWS, provider::ROWS, worded::ROWS, mail::ROWS, rcpt::ROWS, dot::ROWS];
    let rows = all.into_iter().flatten();
    for (row, moment) in rows.flat_map(|row| row.at.iter().map(move |moment| (row, moment))) {
        let outcome = Record::open(*moment, row.says).await.mail().await;
        let decided = table::row_for(outcome.stage, outcome.reply.as_ref().expect("every row is a reply"));
        assert_eq!((decided.reason, decided.fate, decided.effects), (row.reason, row.fate, row.whom), "{}", row.says);
        met.push(decided);
    }
    let missed: Vec<_> = table::rows().filter(|row| !met.iter().any(|met| std::ptr::eq(*met, *row))).collect();
    assert!(missed.is_empty(), "no test here meets {missed:#?}");
}
