//! `warmup mailbox`: enrols mailboxes and shows them.

mod import;
mod list;
mod show;

use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Enrol the mailboxes of a CSV file, or update them: all of it, or nothing when there is any fault.
    Import(import::Args),
    /// List all mailboxes with their today.
    List(list::Args),
    /// Show everything about one mailbox, and when it sends next or why not.
    Show(show::Args),
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Import(args) => import::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Show(args) => show::run(args).await,
    }
}
