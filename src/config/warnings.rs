//! This module warns of legal settings that defeat their own purpose. Each warning shows the arithmetic, so
//! that the operator sees which setting to change.

mod enrolled;
mod hosts;

use std::time::Duration;

use secrecy::ExposeSecret;

pub use self::{
    enrolled::{EnrolledLoad, OwnerLoad},
    hosts::HostLoad,
};
use super::{
    Settings, Warning,
    capacity::{self, HOUR},
};

/// The quota below which a mailbox no longer counts as warmed up.
const GUARANTEE: u16 = 30;

/// The shortest token that can't be guessed, in characters: 16 characters of base64 are 96 bits.
const TOKEN_LENGTH: usize = 16;

const CHECKS: [fn(&Settings) -> Vec<Warning>; 11] = [
    nothing_is_ever_sent,
    a_minute_that_never_fills_the_hour,
    lanes_that_never_fill_the_caps,
    a_burst_that_starves_the_rest,
    a_daily_cap_below_the_limit,
    a_quota_below_the_guarantee,
    a_cooldown_longer_than_the_day,
    hours_without_room,
    workers_that_are_not_there,
    workers_without_a_shard,
    a_token_that_can_be_guessed,
];

/// Returns the warnings that follow from the settings alone, without the enrolled mailboxes.
pub(super) fn of(settings: &Settings) -> Vec<Warning> {
    CHECKS.iter().flat_map(|check| check(settings)).collect()
}

fn nothing_is_ever_sent(s: &Settings) -> Vec<Warning> {
    let caps = [
        ("WARMUP_GLOBAL_HOURLY_LIMIT", s.global_hourly_limit == 0, "no mail"),
        ("WARMUP_GLOBAL_MINUTE_LIMIT", s.global_minute_limit == 0, "no mail"),
        ("WARMUP_USER_HOURLY_LIMIT", s.user_hourly_limit == 0, "no mail"),
        ("WARMUP_USER_MINUTE_LIMIT", s.user_minute_limit == 0, "no mail"),
        ("WARMUP_USER_DAILY_CAP", s.user_daily_cap == 0.0, "no mail of a user who has a daily limit"),
    ];
    let zero = caps.into_iter().filter(|(_, zero, _)| *zero);
    zero.map(|(name, _, what)| Warning::new(name, format!("0 lets {what} through, ever"))).collect()
}

fn a_minute_that_never_fills_the_hour(s: &Settings) -> Vec<Warning> {
    let caps = [
        ("WARMUP_GLOBAL_MINUTE_LIMIT", s.global_minute_limit, "WARMUP_GLOBAL_HOURLY_LIMIT", s.global_hourly_limit),
        ("WARMUP_USER_MINUTE_LIMIT", s.user_minute_limit, "WARMUP_USER_HOURLY_LIMIT", s.user_hourly_limit),
    ];
    let warn = |(minute_name, minute, hour_name, hour): (&'static str, u32, &str, u32)| {
        // A cap of 0 has its own warning.
        (minute > 0 && u64::from(minute) * 60 < u64::from(hour)).then(|| {
            let text = format!(
                "{minute} a minute x 60 = {} an hour, so {hour_name} {hour} is never reached; raise it to {} or lower \
                 the other",
                u64::from(minute) * 60,
                hour.div_ceil(60),
            );
            Warning::new(minute_name, text)
        })
    };
    caps.into_iter().filter_map(warn).collect()
}

fn lanes_that_never_fill_the_caps(s: &Settings) -> Vec<Warning> {
    let cap = u64::from(s.global_hourly_limit).min(u64::from(s.global_minute_limit) * 60);
    let lanes = capacity::lanes_carry(s, HOUR);
    let text = || {
        format!(
            "{} give {lanes} mails an hour, so the fleet's caps, {cap} an hour, are never reached; raise \
             WARMUP_MAX_CONCURRENT or WARMUP_WORKER_COUNT, or rest less, if the fleet needs more",
            lanes_in_words(s)
        )
    };
    only_if(lanes < cap, "WARMUP_MAX_CONCURRENT", text)
}

/// Returns the arithmetic of the lanes as the warnings show it.
fn lanes_in_words(s: &Settings) -> String {
    let mut words = format!(
        "{} lane(s) x {} worker(s) at {} a mail (2 s and the mean rest)",
        s.max_concurrent,
        capacity::workers(s),
        seconds(capacity::turn(s)),
    );
    if !s.batch_delay.is_zero() {
        words += &format!(" and WARMUP_BATCH_DELAY_MS {} between batches", s.batch_delay.as_millis());
    }
    words
}

fn a_burst_that_starves_the_rest(s: &Settings) -> Vec<Warning> {
    let cap = global_minute(s);
    let text = || {
        format!(
            "{} of {} a minute may go at once, which leaves {:.1} a minute steadily; 0.05 leaves most of the limit",
            cap.burst(),
            cap.limit,
            60.0 / cap.token().as_secs_f64(),
        )
    };
    only_if(s.cap_burst > 0.5 && cap.limit > 1, "WARMUP_CAP_BURST", text)
}

fn global_minute(s: &Settings) -> capacity::Cap {
    capacity::Cap { limit: s.global_minute_limit, window: capacity::MINUTE, burst: s.cap_burst }
}

fn a_daily_cap_below_the_limit(s: &Settings) -> Vec<Warning> {
    let cap = s.user_daily_cap;
    let text = || format!("{cap} x a user's daily limit of 100 is {:.0}: nobody ever reaches the limit", cap * 100.0);
    only_if(cap > 0.0 && cap < 1.0, "WARMUP_USER_DAILY_CAP", text)
}

fn a_quota_below_the_guarantee(s: &Settings) -> Vec<Warning> {
    let quota = s.min_daily_quota;
    let text = || {
        format!(
            "{quota} is obeyed, but a warmed-up mailbox should have {GUARANTEE} mails a day: {} more",
            GUARANTEE - quota
        )
    };
    only_if(quota < GUARANTEE, "WARMUP_MIN_DAILY_QUOTA", text)
}

fn a_cooldown_longer_than_the_day(s: &Settings) -> Vec<Warning> {
    enrolled::cooldown(s, u64::from(s.min_daily_quota), "WARMUP_MIN_DAILY_QUOTA")
}

fn hours_without_room(s: &Settings) -> Vec<Warning> {
    let (start, end) = (s.active_hours.start(), s.active_hours.end());
    let late = end.saturating_sub(USUAL_WINDOW_END);
    let caught_up = only_if(late == 0, "WARMUP_ACTIVE_HOURS", || {
        format!("{} leaves 0 min after the usual window, 09:00-17:00, to catch up in", s.active_hours)
    });
    let (room, delay) = (u64::from(end - start), s.reply_delay_min.as_secs() / 60);
    let replied = only_if(room < delay, "WARMUP_REPLY_DELAY_MIN", || {
        format!(
            "a reply comes after {delay} min at least, but WARMUP_ACTIVE_HOURS {} has only {room} min",
            s.active_hours
        )
    });
    [caught_up, replied].concat()
}

/// The end of the default sending window in minutes after midnight.
const USUAL_WINDOW_END: u16 = 17 * 60;

fn workers_that_are_not_there(s: &Settings) -> Vec<Warning> {
    let text = || {
        format!(
            "{} workers are expected, but with WARMUP_DISTRIBUTED_MODE false a second one refuses to start; set it to \
             true, or expect 1",
            s.worker_count
        )
    };
    only_if(!s.distributed_mode && s.worker_count > 1, "WARMUP_WORKER_COUNT", text)
}

fn workers_without_a_shard(s: &Settings) -> Vec<Warning> {
    let idle = s.worker_count.saturating_sub(u32::from(s.shards));
    let text = || format!("{} workers - {} shards = {idle} workers that never own a mailbox", s.worker_count, s.shards);
    only_if(s.distributed_mode && idle > 0, "WARMUP_SHARDS", text)
}

fn a_token_that_can_be_guessed(s: &Settings) -> Vec<Warning> {
    let short = s.admin_token.as_ref().is_some_and(|token| token.expose_secret().len() < TOKEN_LENGTH);
    let text =
        || format!("it has fewer than {TOKEN_LENGTH} characters and can be guessed; `openssl rand -hex 32` makes one");
    only_if(short, "WARMUP_ADMIN_TOKEN", text)
}

fn only_if(applies: bool, name: &'static str, text: impl FnOnce() -> String) -> Vec<Warning> {
    if applies { vec![Warning::new(name, text())] } else { Vec::new() }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests;
