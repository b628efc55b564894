//! `warmup bench send` sends mails through one worker at full speed and reports the rate.

use std::{fmt::Write, path::PathBuf, process::ExitCode, str::FromStr, sync::Arc};

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use super::environment::{self, BenchEnvironment};
use crate::{
    adapters::system::SystemClock,
    app::benchmark::{self, BenchmarkReport, Calls},
    cli::{
        secret::{self, SecretSource},
        session::{print, print_json, table},
    },
    ports::Clock,
};

/// How many statements are shown.
const SHOWN: usize = 6;
const MIB: f64 = 1024.0 * 1024.0;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Where the mails are submitted. Real mails: take a host of your own, such as smtp-sink.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) smtp: Place,
    /// How it is spoken to.
    #[arg(long, value_enum, default_value_t = Security::Starttls)]
    pub(super) security: Security,
    /// Log in by this name; without it nobody logs in.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub(super) login: Option<String>,
    /// The file with the password.
    #[arg(long, value_name = "FILE", requires = "login")]
    password_file: Option<PathBuf>,
    /// A PEM file with a further root to trust; else WARMUP_TLS_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// The domain of senders and recipients.
    #[arg(long, value_name = "NAME", default_value = "bench.invalid")]
    pub(super) domain: String,
    /// Mails to send. What the largest caps let through at once is not much more than the most of it.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(2..=400_000))]
    pub(super) sends: u64,
    /// Mails under way at once (WARMUP_MAX_CONCURRENT).
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) concurrency: u32,
    /// Mails that are reserved together at most (WARMUP_BATCH_SIZE).
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) batch: u32,
    /// Let the private Postgres not wait for the disk.
    #[arg(long, conflicts_with = "given_servers")]
    pub(super) no_fsync: bool,
    /// Use the servers of DATABASE_URL and REDIS_URL instead of private ones. The database must be empty, and is of no use
    /// afterwards.
    #[arg(long)]
    pub(super) given_servers: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A host and a port.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Security {
    Tls,
    Starttls,
    None,
}

impl Security {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Security::Tls => "tls",
            Security::Starttls => "starttls",
            Security::None => "none",
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let wrong = || format!("`{text}` is no mail host: write HOST:PORT, such as 127.0.0.1:2525");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match port.parse() {
            Ok(port) if port > 0 && !host.is_empty() => Ok(Place { host: host.to_owned(), port }),
            _ => Err(wrong()),
        }
    }
}

/// What was measured, and under which circumstances.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    smtp: String,
    security: &'static str,
    mailboxes: u64,
    concurrency: u32,
    batch: u32,
    fsync: Option<bool>,
    #[serde(flatten)]
    measured: BenchmarkReport,
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("warmup-bench-").tempdir().context("no temporary folder")?;
    let password =
        args.password_file.as_ref().map(|file| secret::read("password", SecretSource::File(file))).transpose()?;
    let stage = BenchEnvironment::set(folder.path(), &args, password.as_ref()).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::scaled(environment::begins(), 1.0));
    let measured = benchmark::send(&stage.settings, clock, args.sends, 1).await;
    let mailboxes = stage.mailboxes;
    stage.stop().await;
    let report = Report {
        smtp: format!("{}:{}", args.smtp.host, args.smtp.port),
        security: args.security.as_str(),
        mailboxes,
        concurrency: args.concurrency,
        batch: args.batch,
        fsync: (!args.given_servers).then_some(!args.no_fsync),
        measured: measured?,
    };
    if args.json {
        print_json(&report)?
    } else {
        print(&render(&report))?
    }
    let BenchmarkReport { wanted, sent, first_failure, disagreements, .. } = &report.measured;
    if sent != wanted {
        let why = first_failure.as_deref().unwrap_or("none failed, and then nothing more came");
        anyhow::bail!("{sent} of {wanted} mails were sent; the first failure: {why}");
    }
    Ok(if disagreements.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn render(report: &Report) -> String {
    let Report { smtp, security, mailboxes, concurrency, batch, fsync, measured } = report;
    let disk = match fsync {
        Some(true) => "waits for the disk",
        Some(false) => "does not wait for the disk",
        None => "is the given one",
    };
    let mut text = format!(
        "{} mails of {mailboxes} mailboxes to {smtp} ({security}), {concurrency} at once, batches of {batch} at most; \
         Postgres {disk}\n\n",
        measured.wanted
    );
    let mut line = |name: &str, value: String| {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{name:20} {value}");
    };
    line("mails per second", format!("{:.0}", measured.mails_per_second));
    line("sent, failed", format!("{}, {} in {:.2} s", measured.sent, measured.failed, measured.seconds));
    line("CPU per mail", format!("{:.3} ms", measured.cpu_ms_per_mail));
    line("batches", measured.batches.to_string());
    line("EVALSHA", calls(Some(&measured.evalshas)));
    line("SQL statements", calls(measured.statements.as_ref()));
    if let Some(memory) = measured.memory {
        let mib = |bytes: u64| bytes as f64 / MIB;
        line("memory", format!("{:.0} MiB before, {:.0} at most", mib(memory.before_bytes), mib(memory.peak_bytes)));
    }
    let mut steps = table(&["STEP", "COUNT", "P50 MS", "P95 MS", "P99 MS"], &[1, 2, 3, 4]);
    for step in &measured.steps {
        let ms = |ms: f64| format!("{ms:.2}");
        steps.add_row([
            step.step.to_owned(),
            step.count.to_string(),
            ms(step.p50_ms),
            ms(step.p95_ms),
            ms(step.p99_ms),
        ]);
    }
    text.push_str(&format!("\n{}\n", steps.trim_fmt()));
    if let Some(statements) = &measured.statements {
        let mut table = table(&["CALLS", "STATEMENT"], &[0]);
        for statement in statements.of.iter().take(SHOWN) {
            table.add_row([statement.calls.to_string(), statement.text.clone()]);
        }
        text.push_str(&format!("\n{}\n", table.trim_fmt()));
    }
    text.push('\n');
    match measured.disagreements.as_slice() {
        [] => text.push_str("the ledger agrees with all of this"),
        some => some.iter().for_each(|one| text.push_str(&format!("DISAGREEMENT: {one}\n"))),
    }
    text
}

fn calls(calls: Option<&Calls>) -> String {
    match calls {
        Some(calls) => format!("{} ({:.2} for each batch, with ticks and heartbeats)", calls.calls, calls.per_batch),
        None => "not counted: the server does not load pg_stat_statements".to_owned(),
    }
}
