//! `warmup mailbox show`: all of one mailbox, and when it sends next, or why not.

use std::process::ExitCode;

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use comfy_table::{Table, presets};
use serde::Serialize;

use super::{super::context, list::state};
use crate::{
    adapters::postgres::view::{self, DayLine, MailboxLine},
    app::world,
    config::Settings,
    domain::{
        progress::{Share, due},
        time::{instant, next_tick},
    },
};

const DAYS: i64 = 7;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    mailbox: MailboxLine,
    window: String,
    days: String,
    next: String,
    last_days: Vec<DayLine>,
}

pub(super) async fn run(wanted: &str, json: bool) -> anyhow::Result<ExitCode> {
    let settings = context::settings()?;
    let database = world::database(&settings).await?;
    let now = context::now();
    let Some(mailbox) = view::mailboxes(&database, now, Some(wanted)).await?.pop() else {
        bail!("there is no mailbox `{wanted}`: `warmup mailbox list` names them all");
    };
    let schedule = mailbox.schedule()?;
    let partners = view::groups(&database).await?.first().map_or(0, |group| group.pool);
    let shown = Shown {
        window: schedule.window.to_string(),
        days: schedule.days.to_string(),
        next: next(&mailbox, partners, &settings, now)?,
        last_days: view::last_days(&database, mailbox.id, DAYS).await?,
        mailbox,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&shown)?)
    } else {
        print(&shown)
    }
    Ok(ExitCode::SUCCESS)
}

/// When it sends next, or why not, in a sentence.
fn next(mailbox: &MailboxLine, partners: i64, settings: &Settings, now: DateTime<Utc>) -> anyhow::Result<String> {
    if let Some(why) = held(mailbox, partners, now) {
        return Ok(why);
    }
    let schedule = mailbox.schedule()?;
    let (zone, today) = (schedule.zone, mailbox.today);
    let local = |at: DateTime<Utc>| at.with_timezone(&zone).format("%a %H:%M").to_string();
    let Some(sending) = schedule.sending(today, settings.active_hours) else {
        return Ok("not today: its weekdays leave today out".to_owned());
    };
    if i32::from(mailbox.reserved) >= mailbox.quota {
        return Ok(format!("not today: its quota of {} is full", mailbox.quota));
    }
    if i32::from(mailbox.attempts) >= 2 * mailbox.quota {
        return Ok(format!("not today: {} attempts were made for a quota of {}", mailbox.attempts, mailbox.quota));
    }
    if now < sending.start {
        return Ok(format!("from {} on, when its window opens", local(sending.start)));
    }
    if now >= sending.end {
        return Ok(format!(
            "from {} on: today's hours are over",
            local(instant(zone, today.succ_opt().unwrap_or(today), schedule.window.start()))
        ));
    }
    let interval = TimeDelta::from_std(settings.cron_interval)?;
    let window = schedule.window.on(zone, today);
    let mut tick = next_tick(now, interval);
    let quota = u16::try_from(mailbox.quota).unwrap_or(0);
    let reserved = u16::try_from(mailbox.reserved).unwrap_or(0);
    while due(quota, reserved, Share::at(tick, window)) == 0 && tick < sending.end {
        tick += interval;
    }
    let planned = (tick - interval).max(now);
    Ok(match mailbox.next_at.filter(|cool| *cool > planned) {
        Some(cool) => format!("from {} on, when it has cooled down", local(cool)),
        None => format!("within the quarter of an hour from {} on, as the caps allow", local(planned)),
    })
}

/// Why it does not send at all.
fn held(mailbox: &MailboxLine, partners: i64, now: DateTime<Utc>) -> Option<String> {
    let reason = mailbox.reason.as_deref().unwrap_or("no reason given");
    if !mailbox.enabled {
        return Some("never: it is not enabled".to_owned());
    }
    match (mailbox.state.as_str(), mailbox.paused_until) {
        ("removed", _) => return Some("never: it was removed".to_owned()),
        ("disabled", _) => return Some(format!("not before the operator resumes it: {reason}")),
        ("paused", None) => return Some(format!("not before the operator resumes it: paused, {reason}")),
        ("paused", Some(until)) if until > now => return Some(format!("not before {until}: paused, {reason}")),
        _ => {}
    }
    if let Some(held_by) = &mailbox.held_by {
        return Some(format!("not now: paused with its {held_by}"));
    }
    (partners < 2).then(|| "never: there is no other mailbox to write to".to_owned())
}

fn print(shown: &Shown) {
    let mailbox = &shown.mailbox;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let smtp =
        format!("{}:{} ({}) as {}", mailbox.smtp_host, mailbox.smtp_port, mailbox.smtp_security, mailbox.username);
    let imap = match (&mailbox.imap_host, mailbox.imap_port, &mailbox.imap_security) {
        (Some(host), Some(port), Some(security)) => format!("{host}:{port} ({security})"),
        _ => "none".to_owned(),
    };
    for (name, value) in [
        ("mailbox", format!("{} {} <{}>", mailbox.id, mailbox.display_name, mailbox.email)),
        ("owner", mailbox.user_email.clone()),
        ("smtp", smtp),
        ("imap", imap),
        ("hours", format!("{} {} {}", shown.window, shown.days, mailbox.timezone)),
        (
            "ramp",
            format!(
                "{} + {} x {}, at most {}",
                mailbox.ramp_start, mailbox.grown, mailbox.ramp_step, mailbox.daily_max
            ),
        ),
        ("state", state(mailbox)),
        (
            "today",
            format!(
                "{} of {} sent, {} failed, {} uncertain",
                mailbox.sent, mailbox.quota, mailbox.failed, mailbox.uncertain
            ),
        ),
        ("sends next", shown.next.clone()),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    println!("{table}");
    let mut days = Table::new();
    days.load_preset(presets::NOTHING).set_header(["day", "quota", "sent", "failed", "uncertain", "replied", ""]);
    for day in &shown.last_days {
        let counts = [day.quota, day.sent, day.failed, day.uncertain, day.replied].map(|count| count.to_string());
        let mut row = vec![day.day.to_string()];
        row.extend(counts);
        row.push(day.reason.clone().unwrap_or_default());
        days.add_row(row);
    }
    if !shown.last_days.is_empty() {
        println!("\n{days}");
    }
}
