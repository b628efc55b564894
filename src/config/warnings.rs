//! What is legal and defeats itself. Each warning shows its arithmetic.

use super::{
    Settings, Warning,
    carry::{Cap, DAY, HOUR, MINUTE, lanes_carry, turn, workers},
};

/// The guarantee of a warmed-up mailbox; a lower one is the operator's will.
const USUAL_QUOTA: u16 = 30;

/// Returns what the settings alone show.
pub(super) fn of(settings: &Settings) -> Vec<Warning> {
    let s = settings;
    let hour_of_minutes = |name, minute: u32, hour_name: &str, hour: u32| {
        let reachable = u64::from(minute) * 60;
        (minute > 0 && reachable < u64::from(hour)).then(|| {
            Warning::new(name, format!("{minute} a minute is at most {minute} x 60 = {reachable} an hour: {hour_name} {hour} is never reached"))
        })
    };
    let zero = |name, limit: u32| (limit == 0).then(|| Warning::new(name, "0: no mail is ever sent"));
    let checks = [
        hour_of_minutes(
            "WARMUP_GLOBAL_MINUTE_LIMIT",
            s.global_minute_limit,
            "WARMUP_GLOBAL_HOURLY_LIMIT",
            s.global_hourly_limit,
        ),
        hour_of_minutes(
            "WARMUP_USER_MINUTE_LIMIT",
            s.user_minute_limit,
            "WARMUP_USER_HOURLY_LIMIT",
            s.user_hourly_limit,
        ),
        zero("WARMUP_GLOBAL_HOURLY_LIMIT", s.global_hourly_limit),
        zero("WARMUP_GLOBAL_MINUTE_LIMIT", s.global_minute_limit),
        zero("WARMUP_USER_HOURLY_LIMIT", s.user_hourly_limit),
        zero("WARMUP_USER_MINUTE_LIMIT", s.user_minute_limit),
        (s.min_daily_quota < USUAL_QUOTA).then(|| {
            Warning::new(
                "WARMUP_MIN_DAILY_QUOTA",
                format!("{} is less than the usual {USUAL_QUOTA} mails a day; it is obeyed", s.min_daily_quota),
            )
        }),
        (!s.distributed_mode && s.worker_count > 1).then(|| {
            let text = format!(
                "{} workers are expected, but WARMUP_DISTRIBUTED_MODE is false: the second one refuses to start",
                s.worker_count
            );
            Warning::new("WARMUP_WORKER_COUNT", text)
        }),
        cooldown_of(s, s.min_daily_quota),
    ];
    checks.into_iter().flatten().collect()
}

/// Returns what the enrolled quota shows: `quota` mails a day over `mailboxes`, the largest user's share of it.
pub(super) fn of_quota(settings: &Settings, quota: u64, mailboxes: u64, largest_user: u64) -> Vec<Warning> {
    let s = settings;
    let cap = |limit, window| Cap { limit, window, burst: s.cap_burst };
    let caps = [
        ("WARMUP_GLOBAL_HOURLY_LIMIT", cap(s.global_hourly_limit, HOUR), quota, "the fleet owes"),
        ("WARMUP_GLOBAL_MINUTE_LIMIT", cap(s.global_minute_limit, MINUTE), quota, "the fleet owes"),
        ("WARMUP_USER_HOURLY_LIMIT", cap(s.user_hourly_limit, HOUR), largest_user, "the largest user owes"),
        ("WARMUP_USER_MINUTE_LIMIT", cap(s.user_minute_limit, MINUTE), largest_user, "the largest user owes"),
    ];
    let mut warnings: Vec<Warning> =
        caps.into_iter().filter_map(|(name, cap, owed, who)| short_cap(name, cap, owed, who)).collect();
    warnings.extend(short_lanes(s, quota));
    if mailboxes == 1 {
        warnings.push(Warning::new("mailboxes", "a lone mailbox has nobody to write to: enrol another one"));
    }
    warnings
}

fn short_cap(name: &'static str, cap: Cap, owed: u64, who: &str) -> Option<Warning> {
    let carried = cap.carries(DAY);
    (carried < owed).then(|| {
        let advice = match cap.least_limit(owed, DAY, 1_000_000) {
            Some(limit) => format!("{limit} would do"),
            None => "no limit would do: spread the windows or the users".to_owned(),
        };
        let token = cap.token().as_secs_f64();
        let text = format!(
            "{who} {owed} mails a day, but {} gives one token every {token:.3} s, {carried} in the 7 h over which a \
             day is spread: {advice}",
            cap.limit
        );
        Warning::new(name, text)
    })
}

fn short_lanes(settings: &Settings, quota: u64) -> Option<Warning> {
    let carried = lanes_carry(settings, DAY);
    (carried < quota).then(|| {
        let text = format!(
            "the fleet owes {quota} mails a day, but {} x {} lanes with {:.1} s for a mail and its rest carry {carried} \
             in the 7 h over which a day is spread",
            workers(settings),
            settings.max_concurrent,
            turn(settings).as_secs_f64()
        );
        Warning::new("WARMUP_MAX_CONCURRENT", text)
    })
}

fn cooldown_of(settings: &Settings, quota: u16) -> Option<Warning> {
    let mean = (settings.mailbox_cooldown_min + settings.mailbox_cooldown_max) / 2;
    let needed = mean * u32::from(quota);
    (needed > DAY).then(|| {
        let text = format!(
            "{quota} mails with a cooldown of {:.0} s on average take {:.1} h, but a day is spread over 7 h",
            mean.as_secs_f64(),
            needed.as_secs_f64() / 3600.0
        );
        Warning::new("WARMUP_MAILBOX_COOLDOWN_MAX_MS", text)
    })
}
