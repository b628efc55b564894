//! `warmup events` lists events, the newest last.

use std::process::ExitCode;

use anyhow::bail;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::session::{Session, instant, print, print_json};
use crate::{
    domain::id::MailboxId,
    reporting::{
        event_text::{Asked, describe, events, kinds},
        sql::{Selection, mailbox_id},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only of this mailbox: its address, in any case, or its id.
    #[arg(long, value_name = "ADDRESS|ID")]
    mailbox: Option<String>,
    /// Only of this kind, such as sender-disabled.
    #[arg(long)]
    kind: Option<String>,
    /// Only from then on: 45m, 6h, 2d, 2026-11-24 or 2026-11-24T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    limit: i64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A moment, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    At(DateTime<Utc>),
    Ago(TimeDelta),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Since::At(at.to_utc()));
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(Since::At(day.and_time(NaiveTime::MIN).and_utc()));
    }
    ago(text).map(Since::Ago).ok_or_else(|| "write 45m, 6h, 2d, 2026-11-24 or 2026-11-24T09:00:00Z".to_owned())
}

fn ago(text: &str) -> Option<TimeDelta> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number.parse::<u32>().ok()?.into();
    match unit {
        "s" => TimeDelta::try_seconds(number),
        "m" => TimeDelta::try_minutes(number),
        "h" => TimeDelta::try_hours(number),
        "d" => TimeDelta::try_days(number),
        _ => None,
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Session { pool, now, .. } = Session::open().await?;
    let mailbox = match &args.mailbox {
        None => None,
        Some(named) => {
            let selection = named.parse().map_or(Selection::Email(named), |id| Selection::Id(MailboxId(id)));
            let Some(id) = mailbox_id(&pool, selection).await? else {
                bail!("there is no mailbox {named}: `warmup mailbox list` shows all");
            };
            Some(id.0)
        }
    };
    let since = args.since.map(|since| match since {
        Since::At(at) => at,
        Since::Ago(ago) => now.checked_sub_signed(ago).unwrap_or(DateTime::UNIX_EPOCH),
    });
    let asked = Asked { mailbox, kind: args.kind, since, limit: args.limit };
    let events = events(&pool, &asked).await?;
    if args.json {
        print_json(&events)?;
    } else if events.is_empty() {
        let kinds = kinds(&pool).await?;
        print(&format!(
            "no such event; there are {}",
            if kinds.is_empty() { "none".into() } else { kinds.join(", ") }
        ))?;
    } else {
        let lines = events.iter().map(|event| format!("{}  {}", instant(event.at), describe(event)));
        print(&lines.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_say_them() {
        assert_eq!(since("2d"), Ok(Since::Ago(TimeDelta::days(2))));
        assert_eq!(since("45m"), Ok(Since::Ago(TimeDelta::minutes(45))));
        assert_eq!(since("2026-11-24"), Ok(Since::At("2026-11-24T00:00:00Z".parse().unwrap())));
        assert_eq!(since("2026-11-24T10:00:00+01:00"), Ok(Since::At("2026-11-24T09:00:00Z".parse().unwrap())));
        for wrong in ["", "d", "2", "-2d", "2w", "yesterday", "é"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
