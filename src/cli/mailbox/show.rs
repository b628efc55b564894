//! `warmup mailbox show EMAIL|ID` shows everything about a mailbox but its password.

use std::{fmt::Write, process::ExitCode};

use anyhow::Context;
use serde::Serialize;

use super::list::state;
use crate::{
    cli::{
        session::{Session, instant, table},
        watch::{Watch, WatchView},
    },
    domain::{id::MailboxId, mailbox::domain_of},
    reporting::{
        MailboxDetail,
        capacity::shortfalls,
        event_text::{Event, describe},
        mailbox_detail,
        sql::{LastRefusal, Selection},
    },
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Its address, in any case, or its id.
    mailbox: String,
    #[command(flatten)]
    watch: Watch,
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    let selection = match args.mailbox.parse() {
        Ok(id) => Selection::Id(MailboxId(id)),
        Err(_) => Selection::Email(&args.mailbox),
    };
    let rules = (session.settings.active_hours, session.settings.user_daily_cap);
    let look = async |now| {
        let detail = mailbox_detail(&session.pool, selection, rules, now).await?;
        let detail =
            detail.with_context(|| format!("there is no mailbox {}: `warmup mailbox list` shows all", args.mailbox))?;
        let short = shortfalls(&session.pool, &session.settings, None).await?;
        Ok(Shown { detail, warnings: short.iter().map(ToString::to_string).collect() })
    };
    args.watch.show(look).await
}

/// A mailbox, and the caps that cannot carry the fleet it is in.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    detail: MailboxDetail,
    warnings: Vec<String>,
}

impl WatchView for Shown {
    fn full_text(&self) -> anyhow::Result<String> {
        let mut text = render(&self.detail)?;
        for warning in &self.warnings {
            write!(text, "\n{:14} {warning}", "warning")?;
        }
        Ok(text)
    }

    fn summary_line(&self) -> String {
        let detail = &self.detail;
        let status = &detail.status;
        let next = match detail.sends_next_at {
            Some(at) => format!("sends next {}", instant(at)),
            None => format!("sends nothing: {}", detail.because),
        };
        format!(
            "{}: {}; {} of {} sent, {} left; {next}",
            status.email,
            state(status),
            status.sent,
            status.quota,
            status.left
        )
    }
}

fn render(detail: &MailboxDetail) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for (name, value) in lines(detail) {
        writeln!(text, "{name:14} {value}")?;
    }
    if !detail.last_days.is_empty() {
        writeln!(text, "\n{}", days(detail))?;
    }
    for event in &detail.last_events {
        let event = Event { mailbox: None, user: None, ..event.clone() };
        write!(text, "\n{}  {}", instant(event.at), describe(&event))?;
    }
    Ok(text)
}

fn lines(detail: &MailboxDetail) -> Vec<(&'static str, String)> {
    let status = &detail.status;
    let next = match detail.sends_next_at {
        Some(at) => format!("{} ({})", instant(at), detail.because),
        None => format!("never, as things are: {}", detail.because),
    };
    let receives = match (&detail.receives, &detail.receive_reason) {
        (true, _) if detail.verified_by.is_none() => format!(
            "from its owner's mailboxes only, it is not verified: `warmup mailbox verify {}`, or `warmup domain verify {} --user {}`",
            status.email,
            domain_of(&status.email),
            status.user
        ),
        (true, _) => "yes".to_owned(),
        (false, reason) => {
            let until = detail.receives_from.map_or_else(String::new, |until| format!(" (until {})", instant(until)));
            format!("no: {}{until}", reason.as_deref().unwrap_or("no reason is stored"))
        }
    };
    let missing = || "-".to_owned();
    vec![
        ("id", status.id.to_string()),
        ("email", status.email.clone()),
        ("user", status.user.clone()),
        ("state", state(status)),
        ("sends next", next),
        ("to do", detail.advice.clone().unwrap_or_else(|| "nothing".to_owned())),
        ("receives", receives),
        ("today", format!("{}: {} of {} sent, {} left", status.day, status.sent, status.quota, status.left)),
        ("owes now", format!("{}: the plan asks for {} by now", detail.owed_now, detail.planned_by_now)),
        ("replies", replies(detail)),
        ("last sent", detail.last_sent_at.map_or_else(missing, instant)),
        ("last result", last_result(detail)),
        ("in flight", if detail.in_flight { "one mail" } else { "nothing" }.to_owned()),
        ("display name", detail.display_name.clone()),
        ("username", detail.username.clone()),
        ("password", detail.sealed_under.as_ref().map_or_else(missing, |key| format!("sealed under key {key}"))),
        ("smtp", detail.smtp.clone()),
        ("imap", detail.imap.clone().unwrap_or_else(missing)),
        ("window", format!("{} {} ({})", detail.window, detail.days, detail.timezone)),
        ("ramp", ramp(detail)),
        ("reply rate", format!("{} %", detail.reply_rate)),
        ("shard", detail.shard.to_string()),
        ("enrolled", instant(detail.enrolled_at)),
        ("changed", instant(detail.changed_at)),
    ]
}

/// The later one of the last mail that was sent and the last one that failed, with the words of the mail host.
fn last_result(detail: &MailboxDetail) -> String {
    let is_later = |refusal: &&LastRefusal| detail.last_sent_at.is_none_or(|sent| sent <= refusal.at);
    match (detail.last_refusal.as_ref().filter(is_later), detail.last_sent_at) {
        (Some(refusal), _) => {
            let LastRefusal { at, reason, text, in_a_row, failures_in_a_row } = refusal;
            let words = text.as_deref().map_or_else(String::new, |text| format!(", {text}"));
            let count = match (*in_a_row, *failures_in_a_row) {
                (refusals, failures) if failures > refusals.max(1) => format!(" ({failures} failures in a row)"),
                (refusals @ 2.., _) => format!(" ({refusals} refusals in a row)"),
                _ => String::new(),
            };
            format!("{}: {reason}{words}{count}", instant(*at))
        }
        (None, Some(sent)) => format!("{}: sent", instant(sent)),
        (None, None) => "none yet".to_owned(),
    }
}

fn replies(detail: &MailboxDetail) -> String {
    match detail.replies_next_at {
        Some(at) => format!("{} owed, the first from {} on", detail.replies_owed, instant(at)),
        None => "none owed".to_owned(),
    }
}

fn ramp(detail: &MailboxDetail) -> String {
    let MailboxDetail { ramp_start, ramp_step, daily_max, days_grown, .. } = detail;
    format!("{ramp_start} + {ramp_step} a day, at most {daily_max}; {days_grown} days counted so far")
}

fn days(detail: &MailboxDetail) -> String {
    let headings = ["DAY", "QUOTA", "RESERVED", "SENT", "FAILED", "UNCERTAIN", "REPLIED", "REASON"];
    let mut table = table(&headings, &[1, 2, 3, 4, 5, 6]);
    for day in &detail.last_days {
        let numbers = [day.quota, day.reserved, day.sent, day.failed, day.uncertain, day.replied];
        let mut row = vec![day.day.to_string()];
        row.extend(numbers.iter().map(ToString::to_string));
        row.push(day.reason.clone().unwrap_or_default());
        table.add_row(row);
    }
    table.trim_fmt()
}
