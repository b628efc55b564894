//! `warmup demo` runs a whole day of 48 mailboxes through the production path in about a minute, and audits it.
//!
//! The demo states its differences from production at its start: a faster day clock, private addresses and CA,
//! and a completed ramp. Servers, mail host and worker are real. The demo does not touch this machine's own
//! services.

mod day_view;
mod environment;
pub(super) mod mailboxes;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use self::{day_view::DayView, environment::DemoEnvironment};
use super::{session, stop};
use crate::{
    adapters::system::{SeededRng, SystemClock},
    api::Listeners,
    app::serve,
    config::environment,
    demo::{
        audit::{Expect, Snapshot, prove},
        sink::read_journal,
    },
    observe::{logging, telemetry::Telemetry},
    ports::Clock,
};

/// The demo's day.
const BEGINS: (u32, u32) = (8, 45);
const LASTS: TimeDelta = TimeDelta::minutes(8 * 60 + 30);

/// What each mailbox owes.
const QUOTA: u16 = 30;

/// Of the mails, in percent, with `--faults`.
const FAULTS: u8 = 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many mailboxes to enrol, in 6 domains.
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = clap::value_parser!(u16).range(2..=600))]
    mailboxes: u16,
    /// How many times faster than the machine's the day clock runs.
    #[arg(long, value_name = "TIMES", default_value_t = 510.0, value_parser = speed)]
    speed: f64,
    /// Repeats the dice: texts, rests, cooldowns, and which mails meet a fault.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Let a tenth of the mails meet a scenario: slow, 4xx, 5xx, disconnect before and after the dot.
    #[arg(long)]
    faults: bool,
    /// Keep the folder with journal, log and database when done.
    #[arg(long)]
    keep: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (1.0..=2000.0).contains(&speed) => Ok(speed),
        _ => Err("write a number from 1 to 2000".to_owned()),
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("warmup-demo-").tempdir().context("no temporary folder")?;
    let log = folder.path().join("worker.log");
    let telemetry = Telemetry::start(&environment(), "demo")?;
    logging::start_in_file(&log)?;
    let folder = Kept { keep: args.keep, folder: Some(folder) };
    let done = perform(&args, &telemetry, &folder).await;
    telemetry.end().await;
    if !matches!(done, Ok(ExitCode::SUCCESS)) {
        eprintln!("the end of the worker's log:\n{}", tail(&log));
    }
    done
}

async fn perform(args: &Args, telemetry: &Telemetry, folder: &Kept) -> anyhow::Result<ExitCode> {
    let faults = if args.faults { FAULTS } else { 0 };
    let begins = session::now()
        .date_naive()
        .and_time(NaiveTime::from_hms_opt(BEGINS.0, BEGINS.1, 0).unwrap_or_default())
        .and_utc();
    let stage = DemoEnvironment::set(folder.path(), args.mailboxes, faults, args.seed, begins).await?;
    print!("{}", stage.programme(args.speed));
    let stop = stop::on_signal()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::scaled(begins, args.speed));
    let ends = begins + LASTS;
    let curtain = {
        let (clock, stop) = (Arc::clone(&clock), stop.clone());
        tokio::spawn(async move {
            clock.sleep_until(ends).await;
            stop.cancel();
        })
    };
    let mut screen = None;
    let announce = |listeners: &Listeners| {
        match stage.dashboard(listeners) {
            Ok(address) => println!("Watch it, while it runs: {address}"),
            Err(error) => println!("The dashboard has no address: {error}"),
        }
        let (database, clock) = (stage.database().clone(), Arc::clone(&clock));
        screen = Some(DayView::open(database, clock, begins.date_naive(), args.mailboxes, QUOTA));
    };
    let dice = Arc::new(SeededRng::seeded(args.seed));
    let report = serve::serve(stage.settings(), telemetry, Arc::clone(&clock), dice, announce, stop.clone()).await;
    let early = clock.now() < ends;
    curtain.abort();
    if let Some(screen) = screen {
        screen.close().await;
    }
    let report = report?;
    let verdict = verdict(&stage, args, begins).await?;
    let journal = stage.stop().await?;
    if early {
        println!("stopped before the day's end: there is nothing to prove yet");
        return Ok(ExitCode::FAILURE);
    }
    println!("\n{verdict}");
    if report.abandoned > 0 {
        println!("{} mails were abandoned at the stop", report.abandoned);
    }
    if args.keep {
        println!("kept: {} (journal {})", folder.path().display(), journal.display());
    }
    Ok(if verdict.holds() && report.abandoned == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn verdict(
    stage: &DemoEnvironment,
    args: &Args,
    begins: DateTime<Utc>,
) -> anyhow::Result<crate::demo::audit::AuditReport> {
    let journal = read_journal(stage.journal())?;
    let snapshot = Snapshot::read(stage.database(), begins.date_naive()).await?;
    let expect = Expect { mailboxes: usize::from(args.mailboxes), quota: QUOTA, faults: args.faults };
    Ok(prove(&journal, &snapshot, &expect))
}

fn tail(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// The demo's folder: gone with it, unless it is to be kept.
struct Kept {
    keep: bool,
    folder: Option<tempfile::TempDir>,
}

impl Kept {
    fn path(&self) -> &std::path::Path {
        self.folder.as_ref().map_or_else(|| std::path::Path::new("."), tempfile::TempDir::path)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take().filter(|_| self.keep) {
            let _: PathBuf = folder.keep();
        }
    }
}
