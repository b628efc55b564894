//! One tick: turn the days, read the candidates, plan, read the roster and pair. In a process of its own for each size,
//! whose memory is then the tick's.

use std::{collections::BTreeMap, fmt::Write, process::Stdio, time::Instant};

use chrono::{TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::process::Command;
use warmup::{
    adapters::postgres::{PostgresMailboxes, pool},
    config::Settings,
    domain::{
        pairing::Pairing,
        plan::{Tick, plan},
        shard::all_shards,
        time::{LocalDates, next_tick},
    },
    ports::PlanningStore,
};
use warmup_support::{process::Binary, world};

use super::{BINARY, machine, row::Rows, send::median};

/// The first argument of the process that plans.
pub const CHILD: &str = "--plan";

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// The parts of a tick, in its order.
const PARTS: [&str; 6] = ["days", "candidates", "plan", "replies", "roster", "pairing"];
/// So many ticks after the day's first are measured, of which the median counts; memory is that of the first two.
const MEASURED: usize = 3;
/// So many are enrolled as an operator does it; each stands for as many more as there should be.
const IMPORTED: usize = 100_000;

/// $1: how many there should be of each.
const COPIES: &str = "
    INSERT INTO mailboxes (user_id, email, domain, username, sealed_password, smtp_host, smtp_port, smtp_security, timezone,
                           window_start, window_end, days, ramp_start, ramp_step, daily_max, reply_rate, shard, verified_by)
    SELECT user_id, n || email, domain, username, sealed_password, smtp_host, smtp_port, smtp_security, timezone,
           window_start, window_end, days, ramp_start, ramp_step, daily_max, reply_rate, shard, verified_by
    FROM mailboxes, generate_series(2, $1) AS n";

/// A day of everybody that went well.
const YESTERDAY: &str = "
    INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent, attempts, closed)
    SELECT id, current_date - 1, 30, 30, 30, 30, true FROM mailboxes";

/// Plans for each size, the day's first tick and one after it.
pub async fn plans(rows: &mut Rows) {
    rows.part("load and plan one tick, all shards: seconds, and memory of the whole process");
    let mut told = Vec::new();
    for mailboxes in SIZES {
        let ticks = Ticks::of(mailboxes).await;
        let Ticks { first, next, mib, planned, parts } = &ticks;
        rows.note(&format!("{mailboxes} mailboxes: planned"), &planned.to_string());
        rows.note(&format!("{mailboxes} mailboxes: the day's first tick"), &format!("{first:.2} s"));
        if mailboxes == IMPORTED {
            rows.at_most("100000 mailboxes: a tick", *next, 1.0, "s");
            rows.at_most("100000 mailboxes: memory", *mib, 150.0, "MiB");
        } else {
            rows.note(&format!("{mailboxes} mailboxes: a tick"), &format!("{next:.3} s"));
            rows.note(&format!("{mailboxes} mailboxes: memory"), &format!("{mib:.0} MiB"));
        }
        rows.note(&format!("{mailboxes} mailboxes: of a tick"), parts);
        told.push(ticks);
    }
    if let [.., some, ten_times] = &told[..] {
        rows.at_most("1000000 mailboxes: a tick, of 100000's", ten_times.next / some.next, 12.0, "x");
        rows.at_most("1000000 mailboxes: memory, of 100000's", ten_times.mib / some.mib, 12.0, "x");
    }
}

/// What a process told that planned twice.
struct Ticks {
    first: f64,
    next: f64,
    mib: f64,
    planned: u64,
    /// How long each part of a tick took.
    parts: String,
}

impl Ticks {
    async fn of(mailboxes: usize) -> Ticks {
        let database = world::postgres().await;
        let enrolled = mailboxes.min(IMPORTED);
        fill(database.url(), enrolled, "00:00-23:59").await;
        sqlx::query(COPIES).bind((mailboxes / enrolled) as i32).execute(database.pool()).await.unwrap();
        sqlx::raw_sql(YESTERDAY).execute(database.pool()).await.unwrap();
        sqlx::raw_sql("VACUUM ANALYZE").execute(database.pool()).await.unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let ran = command.args([CHILD, database.url()]).stderr(Stdio::inherit()).output().await.unwrap();
        let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let number = |name: &str| told[name].as_f64().unwrap();
        let planned = told["planned"].as_u64().unwrap();
        let parts = told["parts"].as_array().unwrap().iter();
        let parts: Vec<String> =
            parts.map(|part| format!("{} {:.3}", part[0].as_str().unwrap(), part[1].as_f64().unwrap())).collect();
        let parts = format!("{} s", parts.join(", "));
        Ticks { first: number("first"), next: number("next"), mib: number("mib"), planned, parts }
    }
}

/// Enrols `mailboxes` mailboxes whose days are `window`.
pub async fn fill(url: &str, mailboxes: usize, window: &str) {
    let mut csv = "email,password,smtp_host,smtp_port,user,ramp_start,window\n".to_owned();
    for n in 0..mailboxes {
        let (user, domain) = (n / 100, n % 500);
        writeln!(csv, "box{n}@d{domain}.test,secret,mail.test,465,u{user}@bench.test,30,{window}").unwrap();
    }
    let binary = Binary::new(BINARY, url, "");
    binary.command(&["migrate"], "").await;
    binary.command(&["mailbox", "import", "-"], &csv).await;
    world::enrolled_long_ago(url).await;
}

/// The process that plans a few times and tells how long each took.
pub async fn child(url: &str) {
    let database = pool::connect_worker(&SecretString::from(url), 4).await.unwrap();
    let mailboxes = PostgresMailboxes::new(database);
    let (first, _) = tick(&mailboxes).await;
    let (next, planned) = tick(&mailboxes).await;
    let mib = machine::memory(std::process::id(), "VmHWM");
    let mut ticks = vec![next];
    for _ in 1..MEASURED {
        ticks.push(tick(&mailboxes).await.0);
    }
    let (first, parts) = (first.iter().sum::<f64>(), PARTS.iter().enumerate());
    let parts: Vec<Value> = parts.map(|(at, part)| json!([part, median(ticks.iter().map(|tick| tick[at]))])).collect();
    let next = median(ticks.iter().map(|tick| tick.iter().sum()));
    println!("{}", json!({ "first": first, "next": next, "mib": mib, "planned": planned, "parts": parts }));
}

/// As the worker's tick does it. Returns how many seconds each part took, and how many mailboxes owe mails.
async fn tick(mailboxes: &PostgresMailboxes) -> ([f64; PARTS.len()], usize) {
    let settings = Settings::from_vars(&BTreeMap::new()).unwrap().0;
    let (shards, now) = (all_shards(settings.shards), Utc::now().date_naive().and_hms_opt(12, 0, 0).unwrap().and_utc());
    let next = next_tick(now, TimeDelta::minutes(15));
    let tick = Tick {
        now,
        next,
        spread: TimeDelta::minutes(14),
        active: settings.active_hours,
        boost: settings.quota_priority_boost,
        cooldown: TimeDelta::from_std(settings.mailbox_cooldown_min).unwrap(),
    };
    let (mut began, todays) = (Instant::now(), LocalDates::at(now));
    let mut took = || std::mem::replace(&mut began, Instant::now()).elapsed().as_secs_f64();
    mailboxes.roll_over_days(&shards, &todays, now).await.unwrap();
    let days = took();
    let candidates = mailboxes.candidates(&shards, &todays, now).await.unwrap();
    let read = took();
    let planned = plan(&candidates, &tick);
    drop(candidates);
    let plan = took();
    mailboxes.due_replies(&shards, now, next).await.unwrap();
    let replies = took();
    let day = planned.first().map_or(now.date_naive(), |planned| planned.day);
    let members = mailboxes.roster(day, now, None).await.unwrap().unwrap().members;
    let roster = took();
    let pairing = Pairing::new(members);
    let pairs = took();
    drop(pairing);
    ([days, read, plan, replies, roster, pairs], planned.len())
}
