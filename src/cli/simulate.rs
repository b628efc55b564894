//! `warmup simulate` predicts the time at which caps, lanes and windows fill the quotas, and names the
//! bottleneck.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use chrono_tz::Tz;

use super::{
    progress::Bar,
    session::{self, print, print_json, table},
};
use crate::{
    adapters::postgres::{migrate, pool},
    app::simulate::{self, Progress, Report, SimulationInput},
    config::{self, EnrolledLoad, SettingErrors, Settings},
    reporting::capacity,
};

/// How often the bar moves.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Mailboxes, all grown up: WARMUP_MIN_DAILY_QUOTA mails a day each.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    mailboxes: u32,
    /// Workers that share them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=50))]
    workers: u32,
    /// Days to live through.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=365))]
    days: u32,
    /// Of all dice: the same seed gives the same answer.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Owners of the mailboxes, in equal shares [default: those of the database, or one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    users: Option<u32>,
    /// Median of what a mail host takes for a mail, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    latency_ms: u64,
    /// Read settings from this file, written like .env.example; they go before those of the environment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (settings, warnings) = Settings::from_vars(&vars(args.config.as_ref())?)?;
    let owners = if args.users.is_none() { owners(settings.clone()).await } else { None };
    let question = question(&args, owners.as_ref())?;
    let progress = Arc::new(Progress::default());
    let shown = Arc::clone(&progress);
    let zone = settings.timezone;
    let simulating = tokio::task::spawn_blocking(move || simulate::simulate(&settings, &question, &progress));
    let report = watch(simulating, &shown, args.days).await?;
    if args.json {
        print_json(&report)?;
    } else {
        warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        print(&render(&report, zone))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The environment, and over it what the file says.
fn vars(file: Option<&PathBuf>) -> Result<BTreeMap<String, String>, SettingErrors> {
    let mut vars = session::vars()?;
    if let Some(file) = file {
        vars.extend(config::env_file(file)?);
    }
    Ok(vars)
}

/// The owners of the enrolled mailboxes. None where there is no database, or where it holds no mailbox; a database that
/// can't be read is reported.
async fn owners(settings: Settings) -> Option<EnrolledLoad> {
    match enrolled(settings).await {
        Ok(owners) => owners.filter(|owners| owners.owners() > 0),
        Err(error) => {
            eprintln!("note: one owner is assumed, because the enrolled mailboxes could not be read: {error:#}");
            None
        }
    }
}

async fn enrolled(settings: Settings) -> anyhow::Result<Option<EnrolledLoad>> {
    let settings = session::attached(settings)?;
    let Some(url) = &settings.database_url else { return Ok(None) };
    let database = pool::connect(url, 1).await?;
    migrate::check_schema(&database).await?;
    Ok(Some(capacity::enrolled(&mut *database.acquire().await?, None).await?))
}

/// Of the database's owners the imagined fleet has the number and the share of the largest.
fn question(args: &Args, owners: Option<&EnrolledLoad>) -> anyhow::Result<SimulationInput> {
    let known = owners.map_or(1, |owners| u32::try_from(owners.owners()).unwrap_or(u32::MAX).min(args.mailboxes));
    let users = args.users.unwrap_or(known);
    let largest = owners.and_then(|owners| {
        let (all, (_, largest)) = (owners.total().mailboxes, owners.largest()?);
        u32::try_from((u64::from(args.mailboxes) * largest.mailboxes).div_ceil(all)).ok()
    });
    if users > args.mailboxes {
        bail!("--users {users} are more than --mailboxes {}: each user owns at least one", args.mailboxes);
    }
    let Args { mailboxes, workers, days, seed, .. } = *args;
    Ok(SimulationInput {
        mailboxes,
        workers,
        days,
        seed,
        users,
        largest_user: largest,
        latency: Duration::from_millis(args.latency_ms),
    })
}

async fn watch(
    mut simulating: tokio::task::JoinHandle<anyhow::Result<Report>>,
    progress: &Progress,
    days: u32,
) -> anyhow::Result<Report> {
    let bar = Bar::new(days as usize * 24, "hours");
    loop {
        tokio::select! {
            biased;
            report = &mut simulating => {
                bar.end();
                return report.context("the simulation ended badly")?;
            }
            () = tokio::time::sleep(LOOK) => bar.at(progress.seconds() as usize / 3_600),
        }
    }
}

fn render(report: &Report, zone: Tz) -> String {
    let Report { mailboxes, workers, days, owed, sent, replied, failed, .. } = report;
    let mut lines = vec![format!("{mailboxes} mailboxes, {workers} worker(s), {days} day(s), seed {}", report.seed)];
    lines.push(String::new());
    lines.push(format!("{:10} {sent} of {owed}, {replied} replied, {failed} failed", "sent"));
    let when = match report.completed_at {
        Some(at) => format!(", the last at {}", at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z")),
        None => String::new(),
    };
    lines.push(format!("{:10} {:.1} % of all quotas filled{when}", "complete", report.quota_completion_rate));
    lines.push(format!("{:10} {}", "bottleneck", report.bottleneck));
    for need in &report.needs {
        let needed = need.needed.map_or("no value is enough".to_owned(), |needed| format!("{needed} would do"));
        lines.push(format!("{:10} {} {}: {needed}", "needed", need.setting, need.value));
    }
    lines.push(String::new());
    lines.push(hours(report, zone));
    lines.push("\nassumed".to_owned());
    lines.extend(report.assumptions.iter().map(|assumed| format!("  {assumed}")));
    lines.push("\nsettings".to_owned());
    lines.extend(report.settings.iter().map(|(name, value)| format!("  {name}={value}")));
    lines.join("\n")
}

fn hours(report: &Report, zone: Tz) -> String {
    let mut table = table(&["HOUR", "SENT", "REPLIED"], &[1, 2]);
    for hour in &report.hours {
        let at = hour.at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
        table.add_row([at, hour.sent.to_string(), hour.replied.to_string()]);
    }
    table.trim_fmt()
}
