//! A whole day of `warmup local --import` over a real Postfix and Dovecot, with a stop and a start in its middle.
//!
//! The binary's day clock runs faster than the machine's; a clock of the test's own goes alike, and does not stop while
//! nothing runs. Afterwards the test opens the cluster that the last stop left, and holds its ledger against what lies in
//! the Maildirs.

use std::{fmt::Write, time::Duration};

use chrono::{DateTime, NaiveTime, Utc};
use warmup::{
    adapters::system::SystemClock,
    demo::audit::{Expect, Snapshot, prove},
    local::servers::{Durability, PrivatePostgres},
    ports::Clock,
};
use warmup_support::{
    day::DATE,
    mailstack::{Accounts, Authority, MailStack},
    world::eventually,
};

use super::place::{Place, Running, UP};
use crate::{
    canary::{self, CANARY},
    days::{acceptance, address},
    threads::assert_threads,
};

const MAILBOXES: usize = 20;
/// More than there are partners: everybody is written to once before anybody twice.
const QUOTA: u16 = 30;
const SPEED: f64 = 500.0;

/// How long Postfix may take, once the day is over, until the last mail is in its Maildir.
const DELIVERY: Duration = Duration::from_secs(60);

fn at(hour: u32, minute: u32) -> DateTime<Utc> {
    DATE.and_time(NaiveTime::from_hms_opt(hour, minute, 0).unwrap()).and_utc()
}

async fn start(place: &Place, args: &[&str], clock: &SystemClock) -> Running {
    let (begins, speed) = (clock.now().to_rfc3339(), SPEED.to_string());
    let running = place.start(&[&["local", "--day-begins", &begins, "--day-speed", &speed], args].concat());
    running.says(UP).await;
    running
}

fn csv(stack: &MailStack) -> String {
    let mut csv = "email,password,smtp_host,smtp_port,smtp_security,ramp_start\n".to_owned();
    for n in 0..MAILBOXES {
        let (port, security) = if n % 2 == 0 { (stack.starttls_port(), "starttls") } else { (stack.tls_port(), "tls") };
        writeln!(csv, "{},{CANARY}-{n},localhost,{port},{security},{QUOTA}", address(n)).unwrap();
    }
    csv
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_mailboxes_have_their_whole_day_through_a_stop_and_a_start() {
    let authority = Authority::new();
    let logins = (0..MAILBOXES).map(|n| (address(n), format!("{CANARY}-{n}"))).collect();
    let stack = MailStack::start(&authority, Accounts { logins, unknown: vec![] }).await;
    let place = Place::new()
        .with("WARMUP_TLS_CA_FILE", authority.file().display())
        .with("WARMUP_ALLOW_PRIVATE_HOSTS", true)
        .with("WARMUP_MIN_DAILY_QUOTA", QUOTA);
    let file = place.file("mailboxes.csv", &csv(&stack));

    let clock = SystemClock::scaled(at(8, 0), SPEED);
    let morning = start(&place, &["--import", &file], &clock).await;
    assert_eq!(place.enrolled().await.len(), MAILBOXES);
    clock.sleep_until(at(12, 30)).await;
    let mut said = morning.stop().await;
    place.is_deserted().await;
    eventually(DELIVERY, async || stack.queued() == 0).await;
    let by_noon = stack.delivered().len();
    assert!((100..500).contains(&by_noon), "{by_noon} of {} mails by noon", MAILBOXES * usize::from(QUOTA));

    let afternoon = start(&place, &[], &clock).await;
    clock.sleep_until(at(17, 30)).await;
    said += &afternoon.stop().await;
    place.is_deserted().await;

    eventually(DELIVERY, async || stack.queued() == 0).await;
    let delivered = stack.delivered();
    let cluster = PrivatePostgres::start(&place.data(), Durability::Durable).await.unwrap();
    let pool = sqlx::PgPool::connect(cluster.url()).await.unwrap();
    let snapshot = Snapshot::read(&pool, DATE).await.unwrap();
    let threads = assert_threads(&snapshot, &delivered);
    assert!(threads > 50, "{threads} mails were answered");
    let accepted: Vec<_> = delivered.into_iter().map(|mail| acceptance(mail.from, mail.to, mail.message_id)).collect();
    let verdict = prove(&accepted, &snapshot, &Expect { mailboxes: MAILBOXES, quota: QUOTA, faults: false });
    assert!(verdict.holds(), "{verdict}\n{said}");
    canary::assert_absent("what it said", said.as_bytes());
    canary::assert_absent_from_postgres(&pool).await;
    pool.close().await;
    cluster.stop().await;
}
