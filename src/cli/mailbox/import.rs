//! `warmup mailbox import FILE.csv`.

use std::{
    fmt::Write,
    fs,
    io::{self, Read},
    process::ExitCode,
};

use anyhow::Context;
use serde_json::json;

use crate::{
    adapters::seal::Sealer,
    app::import::{ImportError, ImportReport, Options, import},
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
    let session = Session::open().await?;
    let sealer = Sealer::new(session.settings.require_master_key()?.expose());
    let rules = Rules::from(&session.settings);
    let bar = Bar::new(0, "mailboxes");
    let progress = |done: usize, total: usize| bar.of(done, total);
    let options = Options { now: session.now, dry_run: args.dry_run, progress: &progress };
    let imported = import(&session.pool, &sealer, &rules, file, &options).await;
    bar.end();
    match imported {
        Ok(report) if args.json => print_json(&report)?,
        Ok(report) => print(&told(&report, "imported"))?,
        Err(ImportError::Faults(faults)) if args.json => {
            print_json(&json!({ "faults": faults }))?;
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn open(file: &str) -> anyhow::Result<Box<dyn Read>> {
    match file {
        "-" => Ok(Box::new(io::stdin())),
        path => Ok(Box::new(fs::File::open(path).with_context(|| format!("{path} cannot be opened"))?)),
    }
}

/// What was done, where `done` is the word for it.
pub(super) fn told(report: &ImportReport, done: &str) -> String {
    let ImportReport { new, changed, unchanged, reactivated, users_created, warnings, dry_run } = report;
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
