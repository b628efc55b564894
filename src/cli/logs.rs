//! `warmup logs` lists mails with their outcomes, and repairs the log of an older system.

mod list;
mod normalize;

use std::process::ExitCode;

use clap::ValueEnum;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List what became of the mails, the newest last.
    List(list::Args),
    /// Repair the statuses in an older system's table `logs`, once and in place.
    Normalize(normalize::Args),
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(args) => list::run(args).await,
        Command::Normalize(args) => normalize::run(args).await,
    }
}

/// What a row of a log can say.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Status {
    Sent,
    Replied,
    Failed,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Status::Sent => "SENT",
            Status::Replied => "REPLIED",
            Status::Failed => "FAILED",
        }
    }
}
