//! These tests check that each warning is shown with its arithmetic, and none without need.

use crate::config::tests::settings;

fn warnings(vars: &[(&str, &str)]) -> Vec<String> {
    super::of(&settings(vars)).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn warns(vars: &[(&str, &str)], parts: &[&str]) {
    let all = warnings(vars);
    assert!(all.iter().any(|text| parts.iter().all(|part| text.contains(part))), "{parts:?} in {all:#?}");
}

#[test]
fn the_defaults_give_no_warning() {
    assert_eq!(warnings(&[]), [""; 0]);
}

#[test]
fn a_minute_cap_that_never_fills_the_hour_shows_the_sum() {
    warns(
        &[("WARMUP_GLOBAL_MINUTE_LIMIT", "100")],
        &["WARMUP_GLOBAL_MINUTE_LIMIT", "100 a minute x 60 = 6000", "WARMUP_GLOBAL_HOURLY_LIMIT 10000", "to 167"],
    );
    warns(&[("WARMUP_USER_MINUTE_LIMIT", "8")], &["8 a minute x 60 = 480", "WARMUP_USER_HOURLY_LIMIT 500"]);
}

#[test]
fn an_hour_cap_that_throttles_the_minute_is_meant() {
    assert_eq!(warnings(&[("WARMUP_GLOBAL_HOURLY_LIMIT", "300")]), [""; 0]);
}

#[test]
fn a_cap_of_zero_sends_nothing_and_is_named_once() {
    for name in ["WARMUP_GLOBAL_HOURLY_LIMIT", "WARMUP_GLOBAL_MINUTE_LIMIT", "WARMUP_USER_MINUTE_LIMIT"] {
        assert_eq!(warnings(&[(name, "0")]), [format!("{name}: 0 lets no mail through, ever")]);
    }
    warns(&[("WARMUP_USER_DAILY_CAP", "0")], &["daily limit"]);
}

#[test]
fn lanes_that_never_fill_the_caps_show_the_sum() {
    warns(&[("WARMUP_MAX_CONCURRENT", "5")], &["5 lane(s) x 1 worker(s) at 5.0 s", "3600 mails an hour", "10000"]);
    warns(&[("WARMUP_BATCH_DELAY_MS", "60000")], &["WARMUP_BATCH_DELAY_MS 60000", "1200 mails an hour"]);
}

#[test]
fn a_burst_of_everything_leaves_one_a_window() {
    warns(&[("WARMUP_CAP_BURST", "1")], &["200 of 200 a minute may go at once", "0.9 a minute"]);
}

#[test]
fn a_low_quota_is_obeyed_with_a_warning() {
    warns(&[("WARMUP_MIN_DAILY_QUOTA", "10")], &["10 is obeyed", "20 more"]);
    assert_eq!(settings(&[("WARMUP_MIN_DAILY_QUOTA", "10")]).min_daily_quota, 10);
}

#[test]
fn a_cooldown_that_does_not_fit_the_quota_into_the_day_shows_the_sum() {
    warns(
        &[("WARMUP_MAILBOX_COOLDOWN_MAX_MS", "3000000")],
        &["WARMUP_MAILBOX_COOLDOWN_MAX_MS", "29 x 26.5 min", "769 min", "420 min"],
    );
}

#[test]
fn active_hours_without_room_are_told() {
    warns(&[("WARMUP_ACTIVE_HOURS", "08:00-17:00")], &["08:00-17:00 leaves 0 min"]);
    let short = [("WARMUP_ACTIVE_HOURS", "17:00-18:00"), ("WARMUP_REPLY_DELAY_MIN", "90")];
    warns(&short, &["after 90 min", "only 60 min"]);
}

#[test]
fn a_fleet_that_can_not_be_is_told() {
    warns(&[("WARMUP_WORKER_COUNT", "3")], &["3 workers are expected", "WARMUP_DISTRIBUTED_MODE false"]);
    let crowded = [("WARMUP_DISTRIBUTED_MODE", "true"), ("WARMUP_WORKER_COUNT", "10"), ("WARMUP_SHARDS", "8")];
    warns(&crowded, &["10 workers - 8 shards = 2 workers"]);
}

#[test]
fn a_user_who_never_reaches_the_limit_is_told() {
    warns(&[("WARMUP_USER_DAILY_CAP", "0.8")], &["0.8 x a user's daily limit of 100 is 80"]);
}

#[test]
fn a_short_token_is_told_and_not_shown() {
    warns(&[("WARMUP_ADMIN_TOKEN", "hunter2")], &["WARMUP_ADMIN_TOKEN", "guessed"]);
    assert!(!warnings(&[("WARMUP_ADMIN_TOKEN", "hunter2")]).concat().contains("hunter2"));
}
