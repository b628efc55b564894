//! `warmup logs normalize` repairs the log of an older system, once.

use std::{
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use secrecy::SecretString;

use super::Status;
use crate::{
    adapters::postgres::{
        normalize::{Normalized, normalize},
        pool,
    },
    cli::session::{count, print, print_json, settings, table},
};

const HELP: &str = "\
Brings every status to SENT, REPLIED or FAILED, whatever its case and the white space around it, and adds a CHECK that
keeps it so. Unknown values (NULL and empty ones too) are listed and nothing is changed, unless --unknown-as says what
they become. One transaction, in which nobody else uses the table; repeating it changes nothing.

A URL with a password in it is better set as DATABASE_URL or read from a file: every user of this machine can read the
arguments of a running program. The same for psql: migrations/normalize-log-status.sql, scripts/normalize-status.sh.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(in crate::cli) struct Args {
    /// The older system's database; without it that of DATABASE_URL.
    #[arg(long, value_name = "URL", conflicts_with = "database_file")]
    database: Option<SecretString>,
    /// A file that holds the URL; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    database_file: Option<PathBuf>,
    /// The table, with its schema where it is not in the search path.
    #[arg(long, value_name = "SCHEMA.NAME", default_value = "logs")]
    table: String,
    /// What values that are none of the three become.
    #[arg(long, value_name = "STATUS", ignore_case = true)]
    unknown_as: Option<Status>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let pool = pool::connect(&database(&args)?, 1).await?;
    let done = normalize(&pool, &args.table, args.unknown_as.map(Status::word)).await?;
    if args.json {
        print_json(&done)?
    } else {
        print(&render(&done))?
    }
    Ok(ExitCode::SUCCESS)
}

/// The URL: from the argument, from a file, or the setting.
fn database(args: &Args) -> anyhow::Result<SecretString> {
    match (&args.database, &args.database_file) {
        (Some(url), _) => Ok(url.clone()),
        (None, Some(path)) => {
            let mut text = String::new();
            let read = if path.as_os_str() == "-" {
                io::stdin().read_to_string(&mut text)
            } else {
                std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
            };
            read.with_context(|| format!("the database's URL can't be read from {}", path.display()))?;
            Ok(text.trim().into())
        }
        (None, None) => Ok(settings()?.0.require_database()?.clone()),
    }
}

fn render(done: &Normalized) -> String {
    let mut before = table(&["STORED", "BECOMES", "ROWS"], &[2]);
    for line in &done.before {
        before.add_row([line.stored.clone(), line.becomes.clone(), line.rows.to_string()]);
    }
    let total: i64 = done.before.iter().map(|line| line.rows).sum();
    before.add_row(["total".to_owned(), String::new(), total.to_string()]);
    let mut after = table(&["STATUS", "ROWS"], &[1]);
    for (status, rows) in &done.after {
        after.add_row([status.clone(), rows.to_string()]);
    }
    let total: i64 = done.after.iter().map(|(_, rows)| rows).sum();
    after.add_row(["total".to_owned(), total.to_string()]);
    let mut text = format!("before\n{}\n\nafter\n{}\n\n", before.trim_fmt(), after.trim_fmt());
    text += &format!("{} changed\n", count(usize::try_from(done.changed).unwrap_or_default(), "row", "rows"));
    done.notes.iter().for_each(|note| text += &format!("{note}\n"));
    text
}
