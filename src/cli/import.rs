//! `warmup import legacy` copies users, mailboxes, log and templates from the older system.

use std::{fmt::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::ArgGroup;
use secrecy::{ExposeSecret, SecretString};

use super::{
    mailbox::import as csv,
    progress::Bar,
    secret,
    session::{Session, count, print, print_json},
};
use crate::{
    adapters::{postgres::pool, seal::Sealer},
    admin::legacy::{LegacyReport, Options, import},
    domain::{enrolment::Rules, maintenance::Retention},
};

/// Rows of each kind that are named before the rest is counted; `--json` names all.
const NAMED: usize = 20;

const HELP: &str = "\
Users, accounts, the log and the templates are copied; the older system's database is only read, in one snapshot. What
can't be read is left out and listed, each row with its reason; the rest is copied. Try it with --dry-run first. Repeat it
as often as you like: what is here already is found again, and days that this system counted itself stay as they are.

Stop the older system before this one sends, and begin on a new day: neither knows what the other sent today.

A URL with a password in it is better given by a file (--from @FILE, --from-file FILE) or by standard input (--from -):
every user of this machine can read the arguments of a running program.

docs/LEGACY.md says what becomes of each column.";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Copy accounts, users, logs and templates of the older Node system.
    #[command(after_help = HELP)]
    Legacy(Args),
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("source").args(["from", "from_file"]).required(true))]
pub(super) struct Args {
    /// The older system's database, `@FILE` for a file that holds its URL, or `-` for standard input.
    #[arg(long, value_name = "DATABASE_URL")]
    from: Option<SecretString>,
    /// A file that holds the URL; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Read and judge all of it, say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(Command::Legacy(args): Command) -> anyhow::Result<ExitCode> {
    let Session { settings, pool, now, .. } = Session::open().await?;
    let sealer = Sealer::new(settings.require_master_key()?.expose());
    let source = pool::connect(&url(&args)?, 1).await.context("the older system's database, named by --from")?;
    let bar = Bar::new(0, "rows of the log");
    let options = Options {
        now,
        dry_run: args.dry_run,
        retention: Retention { log_days: settings.log_retention_days, metrics_days: settings.metrics_retention_days },
        progress: &|done, total| bar.of(done, total),
    };
    let report = import(&pool, &source, &sealer, &Rules::from(&settings), &options).await;
    bar.end();
    let report = report?;
    if args.json {
        print_json(&report)?
    } else {
        print(&render(&report))?
    }
    Ok(ExitCode::SUCCESS)
}

fn url(args: &Args) -> anyhow::Result<SecretString> {
    const NAME: &str = "older database's URL";
    let file = |path: &PathBuf| match path.as_os_str() == "-" {
        true => secret::read(NAME, secret::SecretSource::Stdin),
        false => secret::read(NAME, secret::SecretSource::File(path)),
    };
    match (&args.from, &args.from_file) {
        (_, Some(path)) => file(path),
        (Some(url), None) => match url.expose_secret().strip_prefix('@') {
            Some(path) => file(&path.into()),
            None if url.expose_secret() == "-" => secret::read(NAME, secret::SecretSource::Stdin),
            None => Ok(url.clone()),
        },
        (None, None) => anyhow::bail!("say where the older system's database is: --from"),
    }
}

fn render(report: &LegacyReport) -> String {
    let LegacyReport { dry_run, users, mailboxes, ramps, logs, templates, unreadable, warnings } = report;
    let mut text =
        if *dry_run { "dry run, nothing was written\n" } else { "copied from the older system\n" }.to_owned();
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes all that is written");
    line(format!("users: {} new, {} known", users.new.len(), users.known));
    line(csv::render(mailboxes, "mailboxes").trim_end().to_owned());
    line(format!("ramps: {} put where the older system had them", count(*ramps, "mailbox", "mailboxes")));
    line(format!("logs: {} read, {} copied, {} copied before", logs.read, logs.copied, logs.known));
    logs.left_out.iter().for_each(|left| line(format!("  left out: {} {}", left.rows, left.reason)));
    let stay = if templates.outcome == "kept" { "; others are stored here, which stay" } else { "" };
    let (mails, replies) = (count(templates.mails, "mail", "mails"), count(templates.replies, "reply", "replies"));
    line(format!("templates: {mails}, {replies}: {}{stay}", templates.outcome));
    warnings.iter().for_each(|warning| line(format!("warning: {warning}")));
    if !unreadable.is_empty() {
        line(format!("not understood, and left out: {}", unreadable.len()));
    }
    unreadable.iter().take(NAMED).for_each(|row| line(format!("  {} {}: {}", row.table, row.row, row.reason)));
    if unreadable.len() > NAMED {
        line(format!("  {} more (--json names all)", unreadable.len() - NAMED));
    }
    text
}
