//! `warmup template` manages the operator's own templates.

use std::{
    fmt::Write,
    fs,
    io::{self, Read},
    process::ExitCode,
};

use anyhow::Context;
use serde_json::json;

use super::session::{Session, count, print, print_json};
use crate::{
    admin::templates::{ImportError, ImportReport, export, import, reset},
    domain::content::Texts,
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Store the templates of a file for the whole fleet, in the place of those stored before.
    ///
    /// Workers use them from their next start on. A kind (mail, reply) that the file leaves out is written with the
    /// built-in texts. docs/TEMPLATES.md shows the format.
    Import(Import),
    /// Print the stored templates, or the built-in ones where none are, as a file.
    Export {
        /// The built-in ones; needs no database.
        #[arg(long)]
        built_in: bool,
    },
    /// Forget the stored templates: the built-in ones are used again, from the next start on.
    Reset,
}

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file, or `-` for standard input.
    file: String,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Import(args) => return store(args).await,
        Command::Export { built_in: true } => print(&Texts::built_in_file())?,
        Command::Export { built_in: false } => print(&export(&Session::open().await?.pool).await?)?,
        Command::Reset => {
            let session = Session::open().await?;
            reset(&session.pool, session.now).await?;
            print("the stored templates are gone; workers use the built-in ones from their next start on")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn store(args: Import) -> anyhow::Result<ExitCode> {
    let file = read(&args.file)?;
    let session = Session::open().await?;
    match import(&session.pool, &file, session.now, args.dry_run).await {
        Ok(report) if args.json => print_json(&report)?,
        Ok(report) => print(&render(&report))?,
        Err(ImportError::Faults(faults)) if args.json => {
            print_json(&json!({ "faults": faults }))?;
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    match file {
        "-" => io::stdin().read_to_end(&mut bytes).map(drop),
        path => fs::read(path).map(|read| bytes = read),
    }
    .with_context(|| format!("{file} cannot be read"))?;
    String::from_utf8(bytes).with_context(|| format!("{file} is not UTF-8: save it as UTF-8"))
}

fn render(report: &ImportReport) -> String {
    let ImportReport { dry_run, mails, replies, warnings } = report;
    let what = if *dry_run { "dry run, nothing was written" } else { "stored for the next start of each worker" };
    let mut text = format!("{what}: {}, {}\n", count(*mails, "mail", "mails"), count(*replies, "reply", "replies"));
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes all that is written");
    for (kind, _) in [("mails", mails), ("replies", replies)].iter().filter(|(_, number)| **number == 0) {
        line(format!("no {kind} in it: the built-in ones are used"));
    }
    warnings.iter().for_each(|warning| line(format!("warning: {warning}")));
    text
}
