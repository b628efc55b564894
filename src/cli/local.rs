//! `warmup local` runs a worker with private servers permanently, for an operator with one machine.

mod offer;
mod summary;

use std::{fs, io::Read, net::TcpListener, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{
    dashboard,
    mailbox::import::{self, open},
    session, stop,
};
use crate::{
    adapters::system::{SeededRng, SystemClock},
    admin::import::check_first,
    api::Listeners,
    app::local::Local,
    config::{LogFormat, Settings, environment},
    domain::enrolment::Rules,
    local::data_dir::{DataDir, with_saved},
    observe::{logging, telemetry::Telemetry},
    ports::Clock,
    reporting::{fleet_status, next_mail_at, snapshot::SnapshotCache},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Enrol the mailboxes of this CSV file first, or update them, as `warmup mailbox import` does; with any fault in it
    /// nothing is started.
    #[arg(long, value_name = "FILE.csv")]
    import: Option<String>,
    /// Where the data is kept (WARMUP_DATA_DIR).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Rehearse: let the day clock begin here.
    #[arg(long, hide = true, value_name = "TIME", requires = "day_speed")]
    day_begins: Option<DateTime<Utc>>,
    /// Rehearse: let the day clock run so many times as fast.
    #[arg(long, hide = true, value_name = "TIMES", requires = "day_begins")]
    day_speed: Option<f64>,
}

impl Args {
    fn clock(&self) -> SystemClock {
        match (self.day_begins, self.day_speed) {
            (Some(begins), Some(speed)) => SystemClock::scaled(begins, speed),
            _ => SystemClock::real(),
        }
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (settings, _) = Settings::with_files(&environment())?;
    settings.require_no_server()?;
    let usual = session::data_folder(&settings);
    let folder = args.data.clone().or_else(|| usual.clone());
    let folder = folder.context("neither HOME nor WARMUP_DATA_DIR is set: say where the data goes by --data DIR")?;
    let (mut settings, warnings) = Settings::with_files(&with_saved(&folder, environment())?)?;
    settings.require_no_server()?;
    session::print_warnings(&warnings);
    settings.data_dir = Some(folder.clone());
    let telemetry = session::telemetry(&settings)?;
    logging::start(settings.log_format == LogFormat::Json);
    let stop = stop::on_signal()?;
    let csv = args.import.as_deref().map(read).transpose()?;
    let home = DataDir::open(&folder).await?;
    check_port(&settings)?;
    let is_usual = usual.and_then(|usual| fs::canonicalize(usual).ok()).as_deref() == Some(home.path());
    if let (Some(csv), true) = (&csv, home.is_new()) {
        check_first(&Rules::from(&settings), csv.as_slice())?;
    }
    let clock: Arc<dyn Clock> = Arc::new(args.clock());
    let token = dashboard::let_person_in(&mut settings);
    let starting = stop.run_until_cancelled(Local::start(home, settings, clock.now()));
    let Some(started) = starting.await else {
        tracing::info!("stopped before the servers were up");
        return Ok(ExitCode::SUCCESS);
    };
    let mut local = started?;
    let done = work(&mut local, &telemetry, csv.as_deref(), is_usual, token, clock, stop).await;
    local.stop().await;
    telemetry.end().await;
    done
}

/// Imports, says how things are, and lets the worker work.
async fn work(
    local: &mut Local,
    telemetry: &Telemetry,
    csv: Option<&[u8]>,
    is_usual: bool,
    token: Option<SecretString>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    if let Some(csv) = csv {
        let (sealer, rules) = (local.sealer()?, Rules::from(local.settings()));
        let report = import::with_bar(local.database(), &sealer, &rules, csv, clock.now(), false).await?;
        session::print(&import::render(&report, "imported"))?;
    }
    offer::offer(local, &stop).await?;
    let now = clock.now();
    let settings = local.settings();
    let census = SnapshotCache::for_commands(local.database().clone(), settings.mailbox_cooldown_max);
    let status = fleet_status(local.database(), &census, settings, now).await?;
    let next = next_mail_at(local.database(), settings.active_hours, settings.user_daily_cap, now).await?;
    let summary = summary::render(local, &status, next, now, is_usual);
    let announce = |listeners: &Listeners| {
        let dashboard = listeners.api.local_addr().map(|http| dashboard::address(http, token.as_ref()));
        if let Err(error) = dashboard.and_then(|address| session::print(&summary::with_dashboard(&summary, &address))) {
            tracing::warn!(%error, "how things are can't be printed");
        }
    };
    let report = local.serve(telemetry, clock, Arc::new(SeededRng::random()), announce, stop).await?;
    Ok(if report.abandoned == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All of the file, before anything is started.
pub(super) fn read(file: &str) -> anyhow::Result<Vec<u8>> {
    let mut csv = Vec::new();
    open(file)?.read_to_end(&mut csv).with_context(|| format!("{file} cannot be read"))?;
    Ok(csv)
}

/// A taken port is told before servers are started; it may still be taken after this, and then the worker says so.
fn check_port(settings: &Settings) -> anyhow::Result<()> {
    let bound = TcpListener::bind(settings.http_addr);
    bound
        .map(drop)
        .with_context(|| format!("WARMUP_HTTP_ADDR {} can't be listened on: choose another port", settings.http_addr))
}
