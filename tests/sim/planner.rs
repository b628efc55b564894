//! `warmup simulate`: what it answers agrees with the arithmetic of caps, lanes and workers, and it names what is short.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use warmup::{
    app::simulate::{Progress, Report, SimulationInput, simulate},
    config::Settings,
};

/// From the opening of the window to the end of the active hours, in seconds: 09:00 to 22:00.
const SENDING: f64 = 13.0 * 3_600.0;

/// The mean of what a mail takes on its host at a median of 500 ms, and of the wait for its batch, in seconds.
const MAIL: f64 = 0.566;
const GATHERED: f64 = 0.2;

fn question(mailboxes: u32, workers: u32) -> SimulationInput {
    let latency = Duration::from_millis(500);
    SimulationInput {
        mailboxes,
        workers,
        days: 1,
        seed: 1,
        users: mailboxes.div_ceil(100),
        largest_user: None,
        latency,
    }
}

/// With few shards, so that heartbeats cost little.
fn answer(question: SimulationInput, vars: &[(&str, &str)]) -> Report {
    exactly(question, &[&[("WARMUP_SHARDS", "16")], vars].concat())
}

fn exactly(question: SimulationInput, vars: &[(&str, &str)]) -> Report {
    let vars: BTreeMap<String, String> =
        vars.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let (settings, _) = Settings::from_vars(&vars).unwrap();
    simulate(&settings, &question, &Progress::default()).unwrap()
}

#[track_caller]
fn assert_within_two_percent(sent: u64, arithmetic: f64) {
    let off = (sent as f64 - arithmetic) / arithmetic * 100.0;
    assert!(off.abs() <= 2.0, "{sent} sent, {arithmetic:.0} by arithmetic: {off:.1} % off");
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-01-12T{time}:00Z").parse().unwrap()
}

#[test]
fn the_defaults_fill_forty_eight_mailboxes_by_five() {
    let report = exactly(question(48, 1), &[]);
    assert_eq!((report.sent, report.owed, report.failed, report.quota_completion_rate), (1_440, 1_440, 0, 100.0));
    assert!(report.completed_at.unwrap() <= at("17:00"), "{:?}", report.completed_at);
    assert_eq!((report.bottleneck.as_str(), &report.needs[..]), ("none", &[][..]));
    assert!((0.30..0.40).contains(&(report.replied as f64 / report.sent as f64)), "{}", report.replied);
    assert_eq!(report.hours.iter().map(|hour| hour.sent).sum::<u64>(), 1_440);
}

#[test]
fn the_same_question_gets_the_same_answer_and_another_seed_another_one() {
    let one = answer(question(20, 2), &[]);
    assert_eq!(one, answer(question(20, 2), &[]));
    assert_ne!(one.hours, answer(SimulationInput { seed: 2, ..question(20, 2) }, &[]).hours);
}

/// A bucket that nobody has asked yet is empty, and gains max(1, limit - burst) tokens in each window and 5 s.
fn carried(limit: f64, burst: f64, window: f64) -> f64 {
    SENDING * (limit - burst) / (window + 5.0)
}

#[test]
fn half_an_hourly_cap_lets_half_through_and_is_named() {
    for (limit, burst) in [("80", 4.0), ("40", 2.0)] {
        let report = answer(question(48, 1), &[("WARMUP_GLOBAL_HOURLY_LIMIT", limit)]);
        assert_within_two_percent(report.sent, carried(limit.parse().unwrap(), burst, 3_600.0));
        assert_eq!(report.bottleneck, format!("global_hour (WARMUP_GLOBAL_HOURLY_LIMIT {limit})"));
        assert_eq!((report.completed_at, report.needs[0].setting), (None, "WARMUP_GLOBAL_HOURLY_LIMIT"));
    }
}

#[test]
fn half_a_user_s_cap_lets_half_through_and_is_named() {
    for (limit, burst) in [("40", 2.0), ("20", 1.0)] {
        let question = SimulationInput { users: 2, ..question(48, 1) };
        let report = answer(question, &[("WARMUP_USER_HOURLY_LIMIT", limit)]);
        assert_within_two_percent(report.sent, 2.0 * carried(limit.parse().unwrap(), burst, 3_600.0));
        assert_eq!(report.bottleneck, format!("user_hour (WARMUP_USER_HOURLY_LIMIT {limit})"));
    }
}

/// Lanes that rest a minute, so that few mailboxes fill them.
const SLOW: [(&str, &str); 2] = [("WARMUP_STAGGER_MIN_MS", "60000"), ("WARMUP_STAGGER_MAX_MS", "60000")];

fn by_lanes(lanes: f64) -> f64 {
    lanes * SENDING / (60.0 + MAIL + GATHERED)
}

#[test]
fn half_the_lanes_send_half_and_are_named() {
    for lanes in ["2", "1"] {
        let vars = [&SLOW[..], &[("WARMUP_MAX_CONCURRENT", lanes)]].concat();
        let report = answer(question(64, 1), &vars);
        assert_within_two_percent(report.sent, by_lanes(lanes.parse().unwrap()));
        assert_eq!(report.bottleneck, format!("lanes (WARMUP_MAX_CONCURRENT {lanes} x 1 worker(s))"));
    }
}

#[test]
fn half_the_workers_send_half() {
    for workers in [4, 2] {
        let vars = [&SLOW[..], &[("WARMUP_MAX_CONCURRENT", "1"), ("WARMUP_SHARDS", "64")]].concat();
        let report = answer(question(160, workers), &vars);
        assert_within_two_percent(report.sent, by_lanes(f64::from(workers)));
        assert_eq!(report.bottleneck, format!("lanes (WARMUP_MAX_CONCURRENT 1 x {workers} worker(s))"));
    }
}

#[test]
fn what_is_needed_is_enough() {
    let low = [("WARMUP_GLOBAL_HOURLY_LIMIT", "40"), ("WARMUP_MAX_CONCURRENT", "1"), ("WARMUP_USER_MINUTE_LIMIT", "2")];
    let short = answer(question(48, 1), &[&SLOW[..], &low].concat());
    let needed: Vec<(&str, String)> =
        short.needs.iter().map(|need| (need.setting, need.needed.unwrap().to_string())).collect();
    assert_eq!(needed.len(), 3, "{:?}", short.needs);
    let enough: Vec<(&str, &str)> = needed.iter().map(|(setting, value)| (*setting, value.as_str())).collect();
    assert_eq!(answer(question(48, 1), &[&SLOW[..], &enough].concat()).bottleneck, "none");
}

#[test]
fn a_cooldown_without_room_a_lone_mailbox_and_batches_far_apart_are_named() {
    let cooldown = [("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "2400000"), ("WARMUP_MAILBOX_COOLDOWN_MAX_MS", "2400000")];
    let report = answer(question(10, 1), &cooldown);
    assert!(report.bottleneck.starts_with("cooldown (WARMUP_MAILBOX_COOLDOWN_MIN_MS 2400000"), "{}", report.bottleneck);
    let report = answer(question(1, 1), &[]);
    assert!(report.sent == 0 && report.bottleneck.starts_with("partners"), "{}", report.bottleneck);
    let apart = [
        ("WARMUP_BATCH_DELAY_MS", "600000"),
        ("WARMUP_MAX_CONCURRENT", "4"),
        ("WARMUP_USER_MINUTE_LIMIT", "1000"),
        ("WARMUP_USER_HOURLY_LIMIT", "10000"),
    ];
    let report = answer(question(48, 1), &apart);
    assert!(report.bottleneck.starts_with("batches (WARMUP_BATCH_DELAY_MS 600000"), "{}", report.bottleneck);
}

#[test]
fn days_are_lived_through_one_after_another() {
    let report = answer(SimulationInput { days: 3, ..question(10, 1) }, &[]);
    assert_eq!((report.sent, report.owed, report.quota_completion_rate), (900, 900, 100.0));
    assert_eq!(report.completed_at.unwrap().date_naive(), at("12:00").date_naive() + chrono::Days::new(2));
}

/// What the command prints to standard output and to standard error, and how it ends.
fn command(args: &[&str]) -> (String, String, Option<i32>) {
    let warmup = env!("CARGO_BIN_EXE_warmup");
    let output = std::process::Command::new(warmup).arg("simulate").args(args).env_clear().output().unwrap();
    let [out, error] = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
    (out, error, output.status.code())
}

#[test]
fn the_command_answers_in_json_and_in_words_with_the_settings_of_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "WARMUP_SHARDS=16\nWARMUP_MIN_DAILY_QUOTA=4\n").unwrap();
    let args = ["--mailboxes", "6", "--users", "2", "--config", file.path().to_str().unwrap()];
    let (json, ..) = command(&[&args[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (key, value) in [("mailboxes", 6), ("workers", 1), ("sent", 24)] {
        assert_eq!(report[key], value, "{json}");
    }
    assert_eq!((&report["quotaCompletionRate"], &report["bottleneck"]), (&100.0.into(), &"none".into()), "{json}");
    assert_eq!(report["settings"]["WARMUP_MIN_DAILY_QUOTA"], "4", "{json}");
    assert!(report["completedAt"].as_str().unwrap().ends_with('Z'), "{json}");
    assert!(report["replied"].is_u64() && !report["assumptions"].as_array().unwrap().is_empty(), "{json}");
    let (words, error, code) = command(&args);
    assert!(words.contains("sent       24 of 24") && words.contains("WARMUP_SHARDS=16"), "{words}");
    assert!(error.contains("warning: WARMUP_MIN_DAILY_QUOTA: 4 is obeyed") && code == Some(0), "{error}");
}

#[test]
fn what_can_t_be_simulated_is_said() {
    let (_, error, code) = command(&["--mailboxes", "2", "--users", "3"]);
    assert!(error.contains("--users 3 are more than --mailboxes 2") && code == Some(1), "{error}");
    let (_, error, code) = command(&["--mailboxes", "2", "--config", "/nowhere/large.env"]);
    assert!(error.contains("/nowhere/large.env: can't be read") && code == Some(64), "{error}");
    assert_eq!(command(&["--mailboxes", "0"]).2, Some(2));
}
