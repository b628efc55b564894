//! `warmup mailbox import FILE.csv`.

use std::{fs::File, io::Read, path::PathBuf, process::ExitCode};

use anyhow::Context;

use super::super::context;
use crate::{
    adapters::{postgres::migrate, seal::Sealer},
    app::{
        import::{self, ImportReport},
        partners, world,
    },
};

pub(super) async fn run(file: PathBuf, dry_run: bool, json: bool) -> anyhow::Result<ExitCode> {
    let settings = context::settings()?;
    let sealer = Sealer::new(settings.require_master_key()?.expose());
    let csv: Box<dyn Read + Send> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(&file).with_context(|| format!("{} can't be read", file.display()))?),
    };
    let database = world::database(&settings).await?;
    migrate::check_schema(&database).await?;
    migrate::check_shards(&database, settings.shards).await?;
    let rules = world::enrolment_rules(&settings);
    let mut report = import::import(&database, &sealer, &rules, csv, dry_run, context::now()).await?;
    report.warnings.extend(partners::warnings(&database).await?);
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?)
    } else {
        print(&report)
    }
    Ok(ExitCode::SUCCESS)
}

fn print(report: &ImportReport) {
    for warning in &report.warnings {
        eprintln!("warning: {warning}");
    }
    let would = if report.dry_run { "dry run, nothing was changed: " } else { "" };
    println!("{would}{} new, {} changed, {} unchanged", report.new, report.changed, report.unchanged);
    if !report.new_users.is_empty() {
        println!("new users: {}", report.new_users.join(", "));
    }
}
