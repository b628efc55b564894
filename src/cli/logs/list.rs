//! `warmup logs list` lists mails with their outcomes.

use std::process::ExitCode;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::Status;
use crate::{
    cli::session::{Session, instant, print, print_json, table},
    domain::time,
    reporting::sql::{LogFilter, LogView, logs},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Only of this address, as sender or as recipient.
    #[arg(long, value_name = "ADDRESS")]
    mailbox: Option<String>,
    /// Only with this status.
    #[arg(long, ignore_case = true)]
    status: Option<Status>,
    /// Only with this reason, such as `uncertain`.
    #[arg(long)]
    reason: Option<String>,
    /// From then on: an instant (2026-11-24T09:00:00Z), a date in WARMUP_TIMEZONE, or how long ago (30m, 12h, 7d).
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Before then, written in the same ways.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// The latest so many.
    #[arg(long, value_name = "ROWS", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    limit: i64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// An instant as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    At(DateTime<Utc>),
    Day(NaiveDate),
    Ago(TimeDelta),
}

impl When {
    fn instant(self, zone: Tz, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            When::At(at) => at,
            When::Day(day) => time::instant(zone, day, 0),
            When::Ago(time) => now - time,
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    let ago = || {
        let number: i64 = text.get(..text.len().checked_sub(1)?)?.parse().ok().filter(|n| (0..100_000).contains(n))?;
        match text.as_bytes().last()? {
            b'm' => Some(TimeDelta::minutes(number)),
            b'h' => Some(TimeDelta::hours(number)),
            b'd' => Some(TimeDelta::days(number)),
            _ => None,
        }
    };
    let at = DateTime::parse_from_rfc3339(text).ok().map(|at| When::At(at.to_utc()));
    let day = || text.parse().ok().map(When::Day);
    at.or_else(day)
        .or_else(|| ago().map(When::Ago))
        .ok_or_else(|| "write an instant (2026-11-24T09:00:00Z), a date (2026-11-24) or 30m, 12h, 7d".to_owned())
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    let instant = |when: When| when.instant(session.settings.timezone, session.now);
    let filter = LogFilter {
        mailbox: args.mailbox,
        status: args.status.map(|status| status.word().to_owned()),
        reason: args.reason,
        since: args.since.map(instant),
        until: args.until.map(instant),
        limit: args.limit,
    };
    let rows = logs(&session.pool, &filter).await?;
    match () {
        () if args.json => print_json(&rows)?,
        () if rows.is_empty() => print("no such mail in the log")?,
        () => print(&render(&rows))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn render(rows: &[LogView]) -> String {
    let mut table = table(&["AT", "STATUS", "FROM", "TO", "REPLY", "MS", "REASON", "SUBJECT"], &[5]);
    for row in rows {
        let codes = [row.smtp_code.map(|code| code.to_string()), row.enhanced_code.clone()];
        let reply: Vec<String> = codes.into_iter().flatten().collect();
        table.add_row([
            instant(row.at),
            row.status.clone(),
            row.sender.clone(),
            row.recipient.clone(),
            reply.join(" "),
            row.latency_ms.map(|millis| millis.to_string()).unwrap_or_default(),
            row.reason.clone().unwrap_or_default(),
            row.subject.clone(),
        ]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_people_write_them() {
        let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        for (text, at) in [
            ("2026-11-24T09:00:00+02:00", "2026-11-24T07:00:00Z"),
            ("2026-11-24", "2026-11-23T15:00:00Z"),
            ("30m", "2026-11-24T11:30:00Z"),
            ("12h", "2026-11-24T00:00:00Z"),
            ("7d", "2026-11-17T12:00:00Z"),
        ] {
            let read = when(text).unwrap().instant(chrono_tz::Asia::Tokyo, now);
            assert_eq!(read, at.parse::<DateTime<Utc>>().unwrap(), "{text}");
        }
        for wrong in ["", "d", "-1d", "yesterday", "2026-13-01", "7w", "\u{e9}"] {
            assert!(when(wrong).is_err(), "{wrong}");
        }
    }
}
