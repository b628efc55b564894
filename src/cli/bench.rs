//! `warmup bench` measures the joint capacity of this machine, its servers and a mail host.

mod environment;
mod send;

use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Send as fast as it goes through the whole production path, and print what each step took and cost.
    Send(send::Args),
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Send(args) => send::run(args).await,
    }
}
