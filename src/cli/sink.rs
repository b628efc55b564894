//! `warmup sink` runs the demo's mail host. The command is hidden, because only the demo and tests start it.

use std::{path::PathBuf, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};

use super::stop;
use crate::demo::sink::{Options, serve};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write what was accepted, one JSON line a mail.
    #[arg(long, value_name = "FILE")]
    journal: PathBuf,
    /// Where to write the certificate to trust (PEM).
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Let this share of all mails meet a scenario.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    faults: u8,
    /// Repeat which mails those are.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Take only the password in this file, from any user.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { journal, ca, faults, seed, password_file } = args;
    let mut terminate = signal(SignalKind::terminate())?;
    let orphaned = stop::stdin_closed();
    let ended = async {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = orphaned => {}
        }
    };
    let ready = |port| println!("{}", serde_json::json!({ "port": port }));
    serve(&Options { journal, ca, faults, seed, password_file }, ready, ended).await?;
    Ok(ExitCode::SUCCESS)
}
