//! `warmup mailbox add ADDRESS` and `warmup mailbox set ADDRESS…` take the columns of the CSV as flags, by the
//! rules of a file.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use secrecy::SecretString;

use super::{
    columns::{self, Columns},
    import::render,
};
use crate::{
    adapters::seal::Sealer,
    admin::import::{EnrolmentCommand, ImportError, Options, enrol},
    cli::{
        secret,
        session::{Session, print, print_json},
    },
    domain::enrolment::{Column, Row, Rules},
};

/// What clap exits with for what it does not understand.
const USAGE: u8 = 2;

#[derive(Debug, clap::Args)]
#[command(mut_arg("smtp_host", |arg| arg.required(true)), mut_arg("smtp_port", |arg| arg.required(true)))]
pub(in crate::cli) struct AddArgs {
    /// The mailbox's address.
    address: String,
    #[command(flatten)]
    columns: Columns,
    #[command(flatten)]
    password: Password,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SetArgs {
    /// Addresses, in any case.
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<String>,
    #[command(flatten)]
    columns: Columns,
    /// Ask for a new password.
    #[arg(long = "password", group = "secret")]
    prompt: bool,
    #[command(flatten)]
    password: Password,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A password is never a flag's value: every process of the machine could read it there.
#[derive(Debug, clap::Args)]
struct Password {
    /// Read the password from this file.
    #[arg(long, value_name = "FILE", group = "secret")]
    password_file: Option<PathBuf>,
    /// Read the password from standard input.
    #[arg(long, group = "secret")]
    password_stdin: bool,
}

impl Password {
    /// Returns the password, asked for where neither flag is given and `prompt` says so.
    fn read(&self, prompt: bool) -> anyhow::Result<Option<SecretString>> {
        let from = match (&self.password_file, self.password_stdin) {
            (Some(path), _) => secret::SecretSource::File(path),
            (None, true) => secret::SecretSource::Stdin,
            (None, false) if prompt => secret::SecretSource::Prompt,
            (None, false) => return Ok(None),
        };
        secret::read("password", from).map(Some)
    }
}

pub(in crate::cli) async fn add(args: AddArgs) -> anyhow::Result<ExitCode> {
    let password = args.password.read(true)?;
    run(EnrolmentCommand::Add, &[args.address], &args.columns, password, args.json).await
}

pub(in crate::cli) async fn set(args: SetArgs) -> anyhow::Result<ExitCode> {
    let password = args.password.read(args.prompt)?;
    if password.is_none() && args.columns.given().is_empty() {
        eprintln!("error: nothing to set: name at least one column, such as --daily-max 20, or --password");
        return Ok(ExitCode::from(USAGE));
    }
    run(EnrolmentCommand::Set, &args.addresses, &args.columns, password, args.json).await
}

async fn run(
    by: EnrolmentCommand,
    addresses: &[String],
    columns: &Columns,
    password: Option<SecretString>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut addresses: Vec<&str> = addresses.iter().map(|address| address.trim()).collect();
    addresses.sort_by_key(|address| address.to_lowercase());
    addresses.dedup_by(|one, other| one.eq_ignore_ascii_case(other));
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (place, address) in (1..).zip(&addresses) {
        let given: Vec<(Column, &str)> = [(Column::Email, *address)].into_iter().chain(columns.given()).collect();
        let (row, more) = Row::given(place, &given, password.clone());
        if !row.email.is_empty() {
            rows.push(row);
        }
        faults.extend(more);
    }
    let session = Session::open().await?;
    let sealer = Sealer::new(session.settings.require_master_key()?.expose());
    let options = Options { now: session.now, dry_run: false, progress: &|_, _| {} };
    let rules = Rules::from(&session.settings);
    match enrol(&session.pool, &sealer, &rules, (rows, faults), by, &options).await {
        Ok(report) if json => print_json(&report.with_caps(&session.settings))?,
        Ok(report) => print(&render(
            &report.with_caps(&session.settings),
            if by == EnrolmentCommand::Add { "added" } else { "set" },
        ))?,
        Err(ImportError::Faults(faults)) => bail!(columns::render_errors(&faults, &addresses)),
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}
