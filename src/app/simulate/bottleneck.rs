//! This module names the bottleneck that prevents a simulated fleet from filling its quotas within the window.
//!
//! A mail waits for one of four things: a cap token, a lane, the cooldown of its mailbox, or the other mails of
//! its batch. Caps are the bottleneck if they refuse a large share of the requests. Lanes are short if nearly
//! all of their time is used in the busiest hour. The cooldown is too long if it leaves no room for the quota by
//! itself.

use super::{SimulationInput, fleet::SimulatedFleet};
use crate::{
    config::Settings,
    ports::CapKind,
    simulation::database::{Hour, Tally},
};

/// The share of refused cap requests below which a cap only smooths the mails.
const REFUSED: f64 = 0.05;

/// The share of used lane time below which lanes are not the bottleneck. A free lane waits up to 200 ms for its
/// batch.
const USED: f64 = 0.8;

const NOTHING: &str = "none";

/// Returns the bottleneck and the setting that widens it; `none` when every quota was filled within its window.
pub(super) fn of(settings: &Settings, question: &SimulationInput, scene: &SimulatedFleet, tally: &Tally) -> String {
    if tally.filled == scene.owed && tally.filled_late == 0 {
        return NOTHING.to_owned();
    }
    if question.mailboxes < 2 {
        return "partners (a lone mailbox has nobody to write to)".to_owned();
    }
    by_caps(settings, scene)
        .or_else(|| by_lanes(settings, question, scene, tally))
        .or_else(|| by_cooldown(settings, question, scene))
        .unwrap_or_else(|| "window (the mails did not fit into its hours)".to_owned())
}

/// Returns whether `bottleneck` is `none`.
pub(super) fn is_none(bottleneck: &str) -> bool {
    bottleneck == NOTHING
}

fn by_caps(settings: &Settings, scene: &SimulatedFleet) -> Option<String> {
    let answers = scene.caps.answers();
    let refused: u64 = answers.refused.values().sum();
    let share = refused as f64 / (answers.granted + refused).max(1) as f64;
    let (cap, _) = answers.refused.iter().max_by_key(|(_, count)| **count).filter(|_| share > REFUSED)?;
    let (setting, limit) = match cap {
        CapKind::GlobalHour => ("WARMUP_GLOBAL_HOURLY_LIMIT", settings.global_hourly_limit),
        CapKind::GlobalMinute => ("WARMUP_GLOBAL_MINUTE_LIMIT", settings.global_minute_limit),
        CapKind::UserHour => ("WARMUP_USER_HOURLY_LIMIT", settings.user_hourly_limit),
        CapKind::UserMinute => ("WARMUP_USER_MINUTE_LIMIT", settings.user_minute_limit),
        // The simulation limits no host.
        CapKind::HostMinute | CapKind::HostHour | CapKind::HostDay | CapKind::HostConnections => return None,
    };
    Some(format!("{} ({setting} {limit})", cap.as_str()))
}

fn by_lanes(settings: &Settings, question: &SimulationInput, scene: &SimulatedFleet, tally: &Tally) -> Option<String> {
    let of_hour = |hour: &Hour| hour.sent + hour.replied;
    let (all, busiest) = (tally.hours.values().map(of_hour).sum::<u64>(), tally.hours.values().map(of_hour).max()?);
    let turn = (scene.hosts.spent() + scene.dice.rested()).div_f64(all.max(1) as f64);
    let (of_each, workers) = (settings.max_concurrent, question.workers);
    let used = turn.as_secs_f64() * busiest as f64 / (f64::from(of_each) * f64::from(workers) * 3_600.0);
    let delay = settings.batch_delay;
    if !delay.is_zero() && used < USED {
        return Some(format!("batches (WARMUP_BATCH_DELAY_MS {})", delay.as_millis()));
    }
    (used >= USED).then(|| format!("lanes (WARMUP_MAX_CONCURRENT {of_each} x {workers} worker(s))"))
}

fn by_cooldown(settings: &Settings, question: &SimulationInput, scene: &SimulatedFleet) -> Option<String> {
    let (least, most) = (settings.mailbox_cooldown_min, settings.mailbox_cooldown_max);
    let turn = (least + most) / 2 + question.latency;
    let rests = u32::from(settings.min_daily_quota.saturating_sub(1));
    let window = scene.window_time();
    (turn * rests > window).then(|| {
        format!("cooldown (WARMUP_MAILBOX_COOLDOWN_MIN_MS {} to _MAX_MS {})", least.as_millis(), most.as_millis())
    })
}
