//! `warmup keys rotate`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, anyhow};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    secret,
    session::{Session, count, print, print_json},
};
use crate::{
    adapters::seal::Sealer,
    app::keys::{RotateError, generate, rotate},
    config::MasterKey,
};

/// What has to be done around it.
const HOW: &str = "\
WARMUP_MASTER_KEY is the present key; the new one is asked for, read, or made. All passwords are sealed anew in one
transaction: it happens whole, or not at all, and may be repeated.

Workers that still run with the old key stop in order within a heartbeat, disable nobody, and are refused at a start until
they have the new key. A mail that one of them reserves in that moment fails with reason seal-broken and its place goes to
a later one; a reply is left out.
So: rotate, give WARMUP_MASTER_KEY its new value everywhere, start the workers again. Backups of the database made before
need the old key: keep it as long as them.";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Seal all passwords under another master key.
    #[command(after_help = HOW)]
    Rotate(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make a new key and write it to this new file, readable by its owner only.
    #[arg(long, value_name = "FILE", group = "key")]
    generate: Option<PathBuf>,
    /// Read the new key (32 bytes in base64) from this file.
    #[arg(long, value_name = "FILE", group = "key")]
    key_file: Option<PathBuf>,
    /// Read the new key from standard input.
    #[arg(long, group = "key")]
    key_stdin: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(Command::Rotate(args): Command) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    let old = Sealer::new(session.settings.require_master_key()?.expose());
    let new = Sealer::new(new_key(&args)?.expose());
    let rotated = rotate(&session.pool, &old, &new, session.now).await;
    if let (Err(error), Some(path)) = (&rotated, &args.generate)
        && !matches!(error, RotateError::Unknown(_))
    {
        // Nothing is sealed under it.
        std::fs::remove_file(path).with_context(|| format!("{} is not needed and can't be removed", path.display()))?;
    }
    let rotated = rotated?;
    let (from, to) = (rotated.from.to_string(), rotated.to.to_string());
    if args.json {
        print_json(&json!({ "passwords": rotated.passwords, "from": from, "to": to }))?;
    } else {
        let place = args.generate.map(|path| format!("; the new key is in {}", path.display())).unwrap_or_default();
        print(&format!(
            "rotated from key {from} to {to}: {}{place}\n\
             set WARMUP_MASTER_KEY to the new key everywhere, then start the workers again; they stop by themselves",
            count(rotated.passwords, "password", "passwords")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn new_key(args: &Args) -> anyhow::Result<MasterKey> {
    let from = match (&args.generate, &args.key_file, args.key_stdin) {
        (Some(path), ..) => return generate(path),
        (None, Some(path), _) => secret::From::File(path),
        (None, None, true) => secret::From::Stdin,
        (None, None, false) => secret::From::Prompt,
    };
    let text = secret::read("new master key", from)?;
    MasterKey::from_base64(text.expose_secret().trim())
        .ok_or_else(|| anyhow!("the new master key is not 32 bytes in base64: make one with --generate FILE"))
}
