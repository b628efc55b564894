//! `warmup logs`: what became of the mails, and the repair of an older system's log.

mod normalize;

use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Repair the statuses in an older system's table `logs`, once and in place.
    Normalize(normalize::Args),
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Normalize(args) => normalize::run(args).await,
    }
}
