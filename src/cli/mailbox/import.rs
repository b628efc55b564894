//! `warmup mailbox import FILE.csv` enrols or updates the mailboxes of a file.

use std::{
    fmt::Write,
    fs,
    io::{self, Read},
    process::ExitCode,
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;

use crate::{
    adapters::seal::Sealer,
    admin::import::{ImportError, ImportReport, Options, import},
    cli::{
        progress::Bar,
        session::{Session, count, print, print_json},
    },
    domain::enrolment::Rules,
};

/// Changed mailboxes that are named before the rest is counted; `--json` names all.
const NAMED: usize = 20;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The file, or `-` for standard input. Its first line names the columns, in any order; required are
    /// email,password,smtp_host,smtp_port.
    file: String,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let file = open(&args.file)?;
    let Session { settings, pool, now, .. } = Session::open().await?;
    let sealer = Sealer::new(settings.require_master_key()?.expose());
    match with_bar(&pool, &sealer, &Rules::from(&settings), file, now, args.dry_run).await {
        Ok(report) if args.json => print_json(&report.with_caps(&settings))?,
        Ok(report) => print(&render(&report.with_caps(&settings), "imported"))?,
        Err(ImportError::Faults(faults)) if args.json => {
            print_json(&json!({ "faults": &faults[..], "more": faults.more() }))?;
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

pub(in crate::cli) fn open(file: &str) -> anyhow::Result<Box<dyn Read>> {
    match file {
        "-" => Ok(Box::new(io::stdin())),
        path => Ok(Box::new(fs::File::open(path).with_context(|| format!("{path} cannot be opened"))?)),
    }
}

/// Imports `file`, showing on a terminal how far it is.
pub(in crate::cli) async fn with_bar(
    pool: &PgPool,
    sealer: &Sealer,
    rules: &Rules,
    file: impl Read,
    now: DateTime<Utc>,
    dry_run: bool,
) -> Result<ImportReport, ImportError> {
    let bar = Bar::new(0, "mailboxes");
    let progress = |done: usize, total: usize| bar.of(done, total);
    let imported = import(pool, sealer, rules, file, &Options { now, dry_run, progress: &progress }).await;
    bar.end();
    imported
}

/// What was done, where `done` is the word for it.
pub(in crate::cli) fn render(report: &ImportReport, done: &str) -> String {
    let ImportReport { new, changed, unchanged, reactivated, users_created, warnings, dry_run, .. } = report;
    let total = count(new.len() + changed.len() + unchanged, "mailbox", "mailboxes");
    let what = if *dry_run { "dry run, nothing was written" } else { done };
    let mut text = format!("{what}: {total}, {} new, {} changed, {unchanged} unchanged\n", new.len(), changed.len());
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes all that is written");
    for changed in changed.iter().take(NAMED).filter(|changed| !changed.columns.is_empty()) {
        line(format!("changed: {}: {}", changed.email, changed.columns.join(", ")));
    }
    if changed.len() > NAMED {
        line(format!("changed: {} more (--json names all)", changed.len() - NAMED));
    }
    reactivated.iter().for_each(|email| line(format!("active again: {email}")));
    users_created.iter().for_each(|email| line(format!("user created: {email}")));
    warnings.iter().for_each(|warning| line(format!("warning: {warning}")));
    text
}
