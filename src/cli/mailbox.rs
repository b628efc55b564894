//! `warmup mailbox`: enrol mailboxes and look at them.

mod import;
mod list;
mod show;

use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Enrol the mailboxes of a CSV file; importing again updates. With any fault nothing is imported.
    Import {
        /// The file; `-` reads from stdin.
        file: PathBuf,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
        #[arg(long)]
        json: bool,
    },
    /// List the mailboxes with their today.
    List {
        #[arg(long)]
        json: bool,
    },
    /// Show all of one mailbox but its password, and when it sends next or why not.
    Show {
        /// Its address or id.
        mailbox: String,
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Import { file, dry_run, json } => import::run(file, dry_run, json).await,
        Command::List { json } => list::run(json).await,
        Command::Show { mailbox, json } => show::run(&mailbox, json).await,
    }
}
