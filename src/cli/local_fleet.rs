//! `warmup local-fleet` runs several workers on this machine with private servers, to watch a fleet and to break
//! it by hand.
//!
//! The command is hidden: `make fleet` starts it. Without enrolled mailboxes it also starts a mail host, and
//! enrols 48 mailboxes there that send around the clock. It stops in order: workers, mail host, Redis, Postgres.

use std::{fmt::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::{dashboard, demo::mailboxes, local::read, mailbox::import, session, stop};
use crate::{
    app::local::Local,
    config::{LogFormat, Settings},
    demo::{
        sink::{self, SinkHandle},
        worker_processes::WorkerProcesses,
    },
    domain::enrolment::Rules,
    local::data_dir::DataDir,
    observe::logging,
};

/// Of those that are made up.
const MAILBOXES: u16 = 48;
const QUOTA: u16 = 30;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many workers.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=50))]
    workers: u16,
    /// Enrol the mailboxes of this CSV file, instead of some at a mail host on this machine.
    #[arg(long, value_name = "FILE.csv")]
    import: Option<String>,
    /// Where the data is kept; by default beside that of `warmup local`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut settings = session::settings_with_warnings()?;
    settings.require_no_server()?;
    let folder = args.data.clone().or_else(|| folder(&settings));
    let folder = folder.context("neither HOME nor WARMUP_DATA_DIR is set: say where the data goes by --data DIR")?;
    logging::start(settings.log_format == LogFormat::Json);
    let stop = stop::on_signal()?;
    let csv = args.import.as_deref().map(read).transpose()?;
    let home = DataDir::open(&folder).await?;
    let password = format!("{:032x}", rand::random::<u128>());
    let host = match csv {
        Some(_) => None,
        None => Some(mail_host(&home, &password, &mut settings).await?),
    };
    settings.data_dir = Some(folder);
    let token = dashboard::let_person_in(&mut settings);
    let now = session::now();
    let Some(started) = stop.run_until_cancelled(Local::start(home, settings, now)).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut local = started?;
    let csv = csv.unwrap_or_else(|| made_up(host.as_ref().map_or(0, SinkHandle::port), &password).into());
    let done = work(&mut local, &csv, host.as_ref(), token.as_ref(), args.workers, now, stop).await;
    if let Some(host) = host {
        host.stop().await?;
    }
    local.stop().await;
    Ok(if done? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Enrols, starts the workers, and returns when they were stopped or have ended: whether each ended well.
async fn work(
    local: &mut Local,
    csv: &[u8],
    host: Option<&SinkHandle>,
    token: Option<&SecretString>,
    workers: u16,
    now: DateTime<Utc>,
    stop: CancellationToken,
) -> anyhow::Result<bool> {
    let (sealer, rules) = (local.sealer()?, Rules::from(local.settings()));
    let report = import::with_bar(local.database(), &sealer, &rules, csv, now, false).await?;
    let mut team = WorkerProcesses::start(&std::env::current_exe()?, workers, &vars(local, host, token, workers)?)?;
    session::print(&import::render(&report, "imported"))?;
    session::print(&render(local, host, token, &team))?;
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = team.all_ended() => {}
        never = local.keep_up() => match never {},
    }
    Ok(team.stop().await)
}

/// Beside the data of `warmup local`, unless a folder is named.
fn folder(settings: &Settings) -> Option<PathBuf> {
    match &settings.data_dir {
        Some(named) => Some(named.clone()),
        None => session::data_folder(settings).map(|usual| usual.with_file_name("warmup-fleet")),
    }
}

async fn mail_host(home: &DataDir, password: &str, settings: &mut Settings) -> anyhow::Result<SinkHandle> {
    let folder = home.path();
    let password_file = folder.join("sink.password");
    std::fs::write(&password_file, password)?;
    let options = sink::Options {
        journal: folder.join("journal.jsonl"),
        ca: folder.join("ca.pem"),
        faults: 0,
        seed: 0,
        password_file: Some(password_file),
    };
    settings.tls_ca_file = Some(options.ca.clone());
    settings.allow_private_hosts = true;
    Ok(sink::spawn(&std::env::current_exe()?, &options).await?)
}

/// Mailboxes that have something to send now, whatever the time.
fn made_up(port: u16, password: &str) -> String {
    let csv = mailboxes::csv(MAILBOXES, port, password, QUOTA);
    let line = |(n, line): (usize, &str)| format!("{line},{}\n", if n == 0 { "window" } else { "00:00-24:00" });
    csv.lines().enumerate().map(line).collect()
}

/// What the workers have in their environment beside ours.
fn vars(
    local: &Local,
    host: Option<&SinkHandle>,
    token: Option<&SecretString>,
    workers: u16,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    let running = local.addresses();
    let mut vars = vec![
        ("DATABASE_URL", running.database_url),
        ("REDIS_URL", running.redis_url),
        ("WARMUP_MASTER_KEY", STANDARD.encode(local.settings().require_master_key()?.expose())),
        ("WARMUP_DISTRIBUTED_MODE", "true".to_owned()),
        ("WARMUP_WORKER_COUNT", workers.to_string()),
    ];
    vars.extend(token.map(|token| ("WARMUP_ADMIN_TOKEN", token.expose_secret().to_owned())));
    if let Some(host) = host {
        vars.push(("WARMUP_TLS_CA_FILE", host.ca_file().display().to_string()));
        vars.push(("WARMUP_ALLOW_PRIVATE_HOSTS", "true".to_owned()));
    }
    Ok(vars)
}

fn render(local: &Local, host: Option<&SinkHandle>, token: Option<&SecretString>, team: &WorkerProcesses) -> String {
    let folder = local.folder().display();
    let mut text = String::new();
    let mut line = |name: &str, words: String| {
        writeln!(text, "{name:10} {words}").expect("a string takes all that is written");
    };
    line("data", format!("{folder} (kept: the next start goes on from there)"));
    if let Some(host) = host {
        line("mail host", format!("127.0.0.1:{}, what it took is in {}", host.port(), host.journal().display()));
    }
    for worker in team.workers() {
        let pid = worker.pid().unwrap_or_default();
        line(&worker.name, format!("process {pid}, http://{}; kill -9 {pid} shows how it is not missed", worker.http));
    }
    if let Some(first) = team.workers().first() {
        line("dashboard", dashboard::address(first.http, token));
    }
    let program = std::env::args().next().unwrap_or_else(|| "warmup".to_owned());
    line("look", format!("WARMUP_DATA_DIR='{folder}' {program} status, in another terminal"));
    line("order", format!("WARMUP_DATA_DIR='{folder}' {program} fleet status|stop|start|trigger"));
    line("stop", "Ctrl-C, or SIGTERM".to_owned());
    text
}
