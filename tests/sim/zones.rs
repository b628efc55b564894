//! Mailboxes around the world, over days of 23, 24 and 25 hours: each day is a mailbox's own, on its own weekdays.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::{America::Los_Angeles, Asia::Tokyo, Pacific::Auckland, Tz};
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::system::SeededRng,
    domain::{
        id::{MailboxId, UserId},
        mailbox::{Endpoint, Security},
        ramp::Ramp,
        time::Schedule,
    },
    observe::liveness::Liveness,
    ports::Clock,
    simulation::{
        FaultRates, MemoryCaps, MemoryDatabase, MemoryLeases, MemoryMailbox, MemoryMailer, MemoryNotifier,
        VirtualClock,
        database::{DayRow, MailboxState},
    },
    worker::{Ports, Worker, WorkerSettings},
};

use crate::fleet::{LIMITS, settings};

const QUOTA: u16 = 8;
/// Of each zone.
const MAILBOXES: i64 = 6;

/// Six mailboxes in each of these zones, on these weekdays.
fn world(clock: &Arc<dyn Clock>, zones: &[(Tz, &str)]) -> MemoryDatabase {
    let world = MemoryDatabase::new(Arc::clone(clock), 16, 1.2);
    for (place, (zone, days)) in (0..).zip(zones) {
        for n in 1..=MAILBOXES {
            let id = place * 100 + n;
            world.enrol(MemoryMailbox {
                id: MailboxId(id),
                user: UserId(id % 3),
                email: format!("box{id}@domain{}.test", id % 4),
                display_name: String::new(),
                endpoint: Endpoint { host: "mail.test".into(), port: 465, security: Security::Tls },
                schedule: Schedule { zone: *zone, window: "09:00-17:00".parse().unwrap(), days: days.parse().unwrap() },
                ramp: Ramp { start: QUOTA, step: 0, daily_max: QUOTA },
                grown: 0,
                reply_rate: 35,
                enabled: true,
                sending: MailboxState::Active,
                receiving: MailboxState::Active,
            });
        }
    }
    world.enrolled_earlier(TimeDelta::days(9));
    world
}

/// Lets a worker work over each stretch in turn; nobody does between them.
async fn live(zones: &[(Tz, &str)], stretches: &[(&str, &str)]) -> (MemoryDatabase, Vec<String>) {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(at(stretches[0].0)));
    let world = world(&clock, zones);
    let entropy = Arc::new(SeededRng::seeded(11));
    let leases = Arc::new(MemoryLeases::new(Arc::clone(&clock)));
    let mut violations = Vec::new();
    for (from, to) in stretches {
        clock.sleep_until(at(from)).await;
        let ports = Ports {
            clock: Arc::clone(&clock),
            entropy: entropy.clone(),
            mailboxes: Arc::new(world.clone()),
            ledger: Arc::new(world.clone()),
            duties: Arc::new(world.clone()),
            caps: Arc::new(MemoryCaps::new(LIMITS, Arc::clone(&clock)).unwrap()),
            leases: leases.clone(),
            members: leases.clone(),
            mailer: Arc::new(MemoryMailer::new(Arc::clone(&clock), entropy.clone(), FaultRates::default())),
            orders: Arc::new(world.clone()),
            bell: Arc::new(MemoryNotifier::cast()),
        };
        // Few heartbeats, so that days pass quickly.
        let settings =
            WorkerSettings { heartbeat: Duration::from_secs(200), lease_ttl: Duration::from_secs(600), ..settings() };
        let stop = CancellationToken::new();
        let worker = tokio::spawn(Worker::new(ports, settings, Arc::new(Liveness::default())).run(stop.clone()));
        clock.sleep_until(at(to)).await;
        stop.cancel();
        assert_eq!(worker.await.unwrap().unwrap().abandoned, 0);
        violations.extend(world.audit());
    }
    (world, violations)
}

/// The rows of the zone at this place, by date: every mailbox of it must have the same.
fn rows(world: &MemoryDatabase, place: i64) -> BTreeMap<NaiveDate, Vec<DayRow>> {
    let mut rows: BTreeMap<NaiveDate, Vec<DayRow>> = BTreeMap::new();
    for (mailbox, day, row) in world.days().into_iter().filter(|(mailbox, ..)| mailbox.0 / 100 == place) {
        assert!((1..=MAILBOXES).contains(&(mailbox.0 % 100)));
        rows.entry(day).or_default().push(row);
    }
    rows
}

/// The dates on which all mailboxes of that place sent their whole quota.
fn whole_days(world: &MemoryDatabase, place: i64) -> Vec<String> {
    let whole = |rows: &Vec<DayRow>| rows.len() == MAILBOXES as usize && rows.iter().all(|row| row.sent == QUOTA);
    rows(world, place).iter().filter(|(_, rows)| whole(rows)).map(|(day, _)| day.to_string()).collect()
}

const WORLD: [(Tz, &str); 3] = [(Los_Angeles, "mon-sun"), (Tokyo, "mon-fri"), (Auckland, "mon-sun")];

#[tokio::test(start_paused = true)]
async fn every_zone_has_its_own_day_and_its_own_weekend() {
    // Friday to Tuesday in UTC: Tokyo has its weekend, Auckland is ahead of it, Los Angeles behind.
    let (world, violations) = live(&WORLD, &[("2026-11-20T14:00:00Z", "2026-11-24T12:00:00Z")]).await;
    assert_eq!(violations, [""; 0]);
    assert_eq!(whole_days(&world, 0), ["2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23"]);
    assert_eq!(whole_days(&world, 1), ["2026-11-23", "2026-11-24"]);
    assert_eq!(whole_days(&world, 2), ["2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24"]);
    // Nothing is owed at a weekend, so there is nothing short of it either.
    let weekend = ["2026-11-21", "2026-11-22"].map(|day| day.parse::<NaiveDate>().unwrap());
    assert!(
        weekend.iter().all(|day| rows(&world, 1).get(day).is_none_or(|rows| rows.iter().all(|row| row.quota == 0)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_day_of_25_hours_and_one_of_23_owe_what_any_day_owes() {
    // Los Angeles went back on the 1st of November 2026 and went on on the 14th of March 2027; Auckland the other way
    // round, on the 27th of September 2026 and the 4th of April 2027.
    for (begins, ends, place, date) in [
        ("2026-10-31T12:00:00Z", "2026-11-02T06:00:00Z", 0, "2026-11-01"),
        ("2027-03-13T12:00:00Z", "2027-03-15T06:00:00Z", 0, "2027-03-14"),
        ("2026-09-26T08:00:00Z", "2026-09-27T10:00:00Z", 2, "2026-09-27"),
        ("2027-04-03T08:00:00Z", "2027-04-04T11:00:00Z", 2, "2027-04-04"),
    ] {
        let (world, violations) = live(&WORLD, &[(begins, ends)]).await;
        assert_eq!(violations, [""; 0], "{date}");
        assert!(whole_days(&world, place).contains(&date.to_owned()), "{date}: {:?}", rows(&world, place));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_over_midnight_loses_nothing_and_carries_nothing_over() {
    let zones = [(chrono_tz::UTC, "mon-sun")];
    // Stopped at noon, before the day is full; started again in the night.
    let stretches =
        [("2026-11-24T08:00:00Z", "2026-11-24T12:00:00Z"), ("2026-11-25T00:30:00Z", "2026-11-25T22:30:00Z")];
    let (world, violations) = live(&zones, &stretches).await;
    assert_eq!(violations, [""; 0]);
    let days = rows(&world, 0);
    let [first, second] = ["2026-11-24", "2026-11-25"].map(|day| &days[&day.parse::<NaiveDate>().unwrap()]);
    assert!(first.iter().all(|row| row.closed && row.late && (1..QUOTA).contains(&row.sent)), "{first:?}");
    assert!(second.iter().all(|row| !row.closed && row.sent == QUOTA && row.quota == QUOTA), "{second:?}");
    let late = world.events().iter().filter(|event| event.kind == "day-short").count();
    assert_eq!(late, MAILBOXES as usize, "each short day is told once");
}

#[tokio::test(start_paused = true)]
async fn after_ten_days_off_the_old_day_is_closed_once_and_today_is_whole() {
    let zones = [(chrono_tz::UTC, "mon-sun")];
    let stretches =
        [("2026-11-10T08:00:00Z", "2026-11-10T12:00:00Z"), ("2026-11-20T08:00:00Z", "2026-11-20T22:30:00Z")];
    let (world, violations) = live(&zones, &stretches).await;
    assert_eq!(violations, [""; 0]);
    let days = rows(&world, 0);
    let dates: Vec<String> = days.keys().map(ToString::to_string).collect();
    assert_eq!(dates, ["2026-11-10", "2026-11-20"], "what nobody was there for is not owed");
    assert_eq!(whole_days(&world, 0), ["2026-11-20"]);
    assert!(days.values().next().unwrap().iter().all(|row| row.closed && row.late));
}
