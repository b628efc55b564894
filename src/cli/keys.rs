//! `warmup keys rotate` seals all stored passwords with a new master key.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    confirm::confirm,
    secret,
    session::{Session, count, print, print_json},
};
use crate::{
    adapters::seal::Sealer,
    admin::keys::{RotateError, generate, make, rotate},
    config::MasterKey,
    local::data_dir::{discard_key, install_key, prepare_key},
};

/// What has to be done around it.
const HOW: &str = "\
WARMUP_MASTER_KEY is the present key; the new one is asked for, read, or made. All passwords are sealed anew in one
transaction: it happens whole, or not at all, and may be repeated.

Beside a running `warmup local`, whose key is master.key in its data folder, nothing else has to be done: the new key is made
unless it is given, takes the place of master.key, and the old one is kept beside it. The running worker goes on. The command
asks first (--yes answers).

With servers of your own:

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
    /// Do not ask before the key file of a `warmup local` is replaced.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(Command::Rotate(args): Command) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    if let Some(folder) = session.key_folder.clone() {
        return in_folder(&args, &session, &folder).await;
    }
    let old = Sealer::new(session.settings.require_master_key()?.expose());
    let new = Sealer::new(new_key(&args)?.expose());
    let rotated = rotate(&session.pool, &old, &new, session.now).await;
    if rotated.as_ref().is_err_and(is_certain) {
        discard_generated(&args)?;
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

/// Rotates the key of a `warmup local`: with its key file, in steps that a start understands wherever they end.
async fn in_folder(args: &Args, session: &Session, folder: &Path) -> anyhow::Result<ExitCode> {
    let old = Sealer::new(session.settings.require_master_key()?.expose());
    let file = folder.join("master.key");
    let question = format!(
        "Seal all passwords under a new key, install it as {}, and keep the present one beside it?",
        file.display()
    );
    if !args.yes && !confirm(&question)? {
        print("nothing was done")?;
        return Ok(ExitCode::FAILURE);
    }
    let key = match (&args.generate, &args.key_file, args.key_stdin) {
        (None, None, false) => make()?,
        _ => new_key(args)?,
    };
    let kept = prepare_key(folder, &STANDARD.encode(key.expose()), &old.key_id().to_string())?;
    let rotated = match rotate(&session.pool, &old, &Sealer::new(key.expose()), session.now).await {
        Err(error) if is_certain(&error) => {
            discard_key(folder, &kept)?;
            discard_generated(args)?;
            return Err(error.into());
        }
        // If the rotation is uncertain, the next start of `warmup local` installs the new key if the database
        // uses it.
        rotated => rotated?,
    };
    install_key(folder)?;
    let (from, to) = (rotated.from.to_string(), rotated.to.to_string());
    if args.json {
        let (file, kept) = (file.display().to_string(), kept.display().to_string());
        print_json(&json!({
            "passwords": rotated.passwords, "from": from, "to": to, "keyFile": file, "oldKeyFile": kept,
        }))?;
    } else {
        print(&format!(
            "rotated from key {from} to {to}: {}\n{} holds the new key: keep a copy of it\n{} holds the old key, which \
             backups made before need\nthe running worker goes on with the new key",
            count(rotated.passwords, "password", "passwords"),
            file.display(),
            kept.display(),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says whether nothing was rotated for certain.
fn is_certain(error: &RotateError) -> bool {
    !matches!(error, RotateError::Unknown(_))
}

/// Removes the file of a key that nothing is sealed under.
fn discard_generated(args: &Args) -> anyhow::Result<()> {
    let Some(path) = &args.generate else { return Ok(()) };
    std::fs::remove_file(path).with_context(|| format!("{} is not needed and can't be removed", path.display()))
}

fn new_key(args: &Args) -> anyhow::Result<MasterKey> {
    let from = match (&args.generate, &args.key_file, args.key_stdin) {
        (Some(path), ..) => return generate(path),
        (None, Some(path), _) => secret::SecretSource::File(path),
        (None, None, true) => secret::SecretSource::Stdin,
        (None, None, false) => secret::SecretSource::Prompt,
    };
    let text = secret::read("new master key", from)?;
    MasterKey::from_base64(text.expose_secret().trim())
        .ok_or_else(|| anyhow!("the new master key is not 32 bytes in base64: make one with --generate FILE"))
}
