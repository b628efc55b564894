//! `warmup config`: is the configuration sound, what is in force, and what can be set.

use std::process::ExitCode;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::config::{Settings, environment, is_given, markdown, rows};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Report every fault of the configuration at once, and what is legal but self-defeating.
    Check,
    /// Show every setting, its value and where it comes from; secrets only as set or not.
    Show {
        #[arg(long)]
        json: bool,
    },
    /// Print the settings as Markdown: docs/CONFIG.md.
    Doc,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check => check(),
        Command::Show { json } => show(json),
        Command::Doc => {
            print!("{}", markdown());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check() -> anyhow::Result<ExitCode> {
    let (_, warnings) = Settings::from_env()?;
    for warning in &warnings {
        println!("warning: {warning}");
    }
    match warnings.len() {
        0 => println!("the configuration is sound"),
        n => println!("the configuration is legal, with {n} warning{}", if n == 1 { "" } else { "s" }),
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Shown {
    name: &'static str,
    value: String,
    source: &'static str,
}

fn show(json: bool) -> anyhow::Result<ExitCode> {
    let (settings, _) = Settings::from_env()?;
    let vars = environment();
    let source = |name| if is_given(&vars, name) { "environment" } else { "default" };
    let shown = rows().into_iter().map(|row| {
        let value = (row.value)(&settings);
        let value = if row.is_secret() && value.is_empty() { "not set".to_owned() } else { value };
        Shown { name: row.name, value, source: source(row.name) }
    });
    if json {
        println!("{}", serde_json::to_string_pretty(&shown.collect::<Vec<_>>())?);
    } else {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(["setting", "value", "from"]);
        for Shown { name, value, source } in shown {
            table.add_row([name, &value, source]);
        }
        println!("{table}");
    }
    Ok(ExitCode::SUCCESS)
}
