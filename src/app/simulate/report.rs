//! `Report` holds the result of a simulation, the settings it depends on, and its assumptions.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{SimulationInput, bottleneck, fleet::SimulatedFleet, hosts};
use crate::{
    config::{Load, Need, Settings},
    domain::enrolment::{DEFAULT_REPLY_RATE, DEFAULT_WINDOW},
};

/// A `Report` answers a [`SimulationInput`]. Rates are percentages.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub mailboxes: u32,
    pub workers: u32,
    pub users: u32,
    pub days: u32,
    pub seed: u64,
    /// The number of mails that all quotas require.
    pub owed: u64,
    pub sent: u64,
    pub replied: u64,
    pub failed: u64,
    /// The percentage of mailbox days whose quota was filled.
    pub quota_completion_rate: f64,
    /// The time at which the last quota was filled; `None` if some were not.
    pub completed_at: Option<DateTime<Utc>>,
    /// The reason why quotas were not filled within their windows, or `none`.
    pub bottleneck: String,
    /// Settings that don't carry the load, with values that do; empty when all quotas were filled in time.
    pub needs: Vec<Need>,
    pub hours: Vec<HourOf>,
    pub settings: BTreeMap<&'static str, String>,
    pub assumptions: Vec<String>,
}

/// The number of mails and replies that were sent in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HourOf {
    /// The beginning of the hour.
    pub at: DateTime<Utc>,
    pub sent: u64,
    pub replied: u64,
}

pub(super) fn of(settings: &Settings, question: &SimulationInput, scene: &SimulatedFleet) -> Report {
    let tally = scene.tally();
    let bottleneck = bottleneck::of(settings, question, scene, &tally);
    let hours = tally.hours.iter().map(|(at, hour)| HourOf { at: *at, sent: hour.sent, replied: hour.replied });
    let hours: Vec<HourOf> = hours.collect();
    let complete = tally.filled == scene.owed;
    Report {
        mailboxes: question.mailboxes,
        workers: question.workers,
        users: question.users,
        days: question.days,
        seed: question.seed,
        owed: scene.owed * u64::from(settings.min_daily_quota),
        sent: hours.iter().map(|hour| hour.sent).sum(),
        replied: hours.iter().map(|hour| hour.replied).sum(),
        failed: tally.failed,
        quota_completion_rate: 100.0 * tally.filled as f64 / scene.owed.max(1) as f64,
        completed_at: tally.filled_at.filter(|_| complete),
        needs: if bottleneck::is_none(&bottleneck) { Vec::new() } else { settings.needs(&load(settings, question)) },
        bottleneck,
        hours,
        settings: settings_of(settings, question),
        assumptions: assumptions(settings, question, scene),
    }
}

/// Returns the mails and replies that are due in a day.
fn load(settings: &Settings, question: &SimulationInput) -> Load {
    let mails = |mailboxes: u32| u64::from(mailboxes) * u64::from(settings.min_daily_quota);
    let replies = |mailboxes: u32| mails(mailboxes) * u64::from(DEFAULT_REPLY_RATE) / 100;
    let of_a_user = question.of_largest_user();
    Load {
        mails: mails(question.mailboxes),
        replies: replies(question.mailboxes),
        user_mails: mails(of_a_user),
        user_replies: replies(of_a_user),
        workers: question.workers,
        mail: hosts::mean(question.latency),
    }
}

/// Returns the settings that a worker reads, with the number of workers from the input.
fn settings_of(settings: &Settings, question: &SimulationInput) -> BTreeMap<&'static str, String> {
    let listed = settings.listing(&BTreeMap::new()).into_iter();
    let mut all: BTreeMap<&'static str, String> = listed
        .filter(|shown| WHAT_MATTERS.contains(&shown.name))
        .filter_map(|shown| Some((shown.name, shown.value?)))
        .collect();
    all.insert("WARMUP_WORKER_COUNT", question.workers.to_string());
    all.insert("WARMUP_DISTRIBUTED_MODE", (question.workers > 1 || settings.distributed_mode).to_string());
    all
}

/// The settings on which the result depends.
const WHAT_MATTERS: [&str; 25] = [
    "WARMUP_BATCH_SIZE",
    "WARMUP_MAX_CONCURRENT",
    "WARMUP_BATCH_DELAY_MS",
    "WARMUP_STAGGER_MIN_MS",
    "WARMUP_STAGGER_MAX_MS",
    "WARMUP_MAILBOX_COOLDOWN_MIN_MS",
    "WARMUP_MAILBOX_COOLDOWN_MAX_MS",
    "WARMUP_GLOBAL_HOURLY_LIMIT",
    "WARMUP_GLOBAL_MINUTE_LIMIT",
    "WARMUP_USER_HOURLY_LIMIT",
    "WARMUP_USER_MINUTE_LIMIT",
    "WARMUP_CAP_BURST",
    "WARMUP_RATE_LIMIT_BACKOFF_MS",
    "WARMUP_MIN_DAILY_QUOTA",
    "WARMUP_QUOTA_PRIORITY_BOOST",
    "WARMUP_CRON_INTERVAL_MINUTES",
    "WARMUP_CRON_SPREAD_MINUTES",
    "WARMUP_REPLY_DELAY_MIN",
    "WARMUP_REPLY_DELAY_MAX",
    "WARMUP_SHARDS",
    "WARMUP_TIMEZONE",
    "WARMUP_ACTIVE_HOURS",
    "WARMUP_LEASE_TTL_MS",
    "WARMUP_HEARTBEAT_MS",
    "WARMUP_DRAIN_TIMEOUT_MS",
];

fn assumptions(settings: &Settings, question: &SimulationInput, scene: &SimulatedFleet) -> Vec<String> {
    let (median, mean) = (question.latency.as_millis(), hosts::mean(question.latency).as_millis());
    let rest = (settings.stagger_min + settings.stagger_max) / 2;
    vec![
        format!(
            "{} mailboxes of {} user(s), the largest with {}, all alike: {} mails a day from the first day on (no ramp), \
             {DEFAULT_WINDOW} on every day, {}",
            question.mailboxes,
            question.users,
            question.of_largest_user(),
            settings.min_daily_quota,
            settings.timezone
        ),
        format!("{} day(s) from {} on", question.days, scene.first_day().format("%A %-d %B %Y")),
        format!(
            "mail hosts take every mail, log-normally after {median} ms (median; {mean} ms on average, deviation of \
             the logarithm {}); no host has a limit of its own",
            hosts::SPREAD
        ),
        format!(
            "so a lane's turn is {:.2} s on average, and up to 0.2 s for its batch to gather",
            (rest + hosts::mean(question.latency)).as_secs_f64()
        ),
        format!(
            "{DEFAULT_REPLY_RATE} of a hundred mails are answered, {} to {} minutes later",
            minutes(settings.reply_delay_min),
            minutes(settings.reply_delay_max)
        ),
        format!("{} worker(s) that never fail, on a Postgres and a Redis that answer at once", question.workers),
    ]
}

fn minutes(time: Duration) -> u64 {
    time.as_secs() / 60
}
