//! `warmup config` checks, shows and documents the settings.
//!
//! Only `check` reads the database, if one is set or a `warmup local` runs, to compare the settings with the
//! enrolled mailboxes.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;
use comfy_table::{Table, presets};

use super::session;
use crate::{
    adapters::postgres::{durability_warnings, migrate, pool},
    config::{self, HostLoad, SettingErrors, SettingValue, Settings, Source, Warning},
    domain::partners,
    observe::{doc, telemetry::Telemetry},
    reporting::{capacity, sql},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List every fault (exit status 64) and every warning.
    Check,
    /// List every setting, its value and where it comes from; of secrets only whether they are set.
    Show {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the documentation of all settings in Markdown.
    Doc {
        /// Print the example of a .env file instead.
        #[arg(long, conflicts_with = "metrics")]
        env: bool,
        /// Print the documentation of all metrics instead.
        #[arg(long)]
        metrics: bool,
    },
}

pub(super) async fn run(command: Command) -> Result<ExitCode> {
    let vars = session::vars()?;
    let text = match command {
        Command::Check => match (check(&vars).await, Telemetry::check(&vars)) {
            (Ok(text), Ok(())) => text,
            (Ok(_), Err(fault)) => return Err(fault.into()),
            (Err(faults), Ok(())) => return Err(faults.into()),
            (Err(faults), Err(fault)) => return Err(anyhow::Error::from(faults).context(fault.to_string())),
        },
        Command::Show { json } => show(&vars, json)?,
        Command::Doc { metrics: true, .. } => doc::markdown(),
        Command::Doc { env: true, .. } => config::env_example(),
        Command::Doc { .. } => config::markdown(),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn check(vars: &BTreeMap<String, String>) -> Result<String, SettingErrors> {
    let (settings, mut warnings) = Settings::with_files(vars)?;
    let mut notes = String::new();
    let missing = settings.missing_to_run();
    match enrolled(settings.clone()).await {
        Ok(more) => warnings.extend(more),
        Err(fault) => notes += &format!("note: what is enrolled was not looked at: {fault:#}\n"),
    }
    let mut text: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    text += &notes;
    if !missing.is_empty() {
        text += &format!("note: not set, and needed by `warmup run`: {}\n", missing.join(", "));
    }
    let given = settings.listing(vars).iter().filter(|shown| shown.source == Source::Environment).count();
    text += &format!("no fault; set by the environment: {given}, warnings: {}\n", warnings.len());
    Ok(text)
}

/// What caps, lanes, hosts and partners can't carry of the enrolled mailboxes. Nothing where no database is set and no
/// `warmup local` runs.
async fn enrolled(settings: Settings) -> Result<Vec<Warning>> {
    let settings = session::attached(settings)?;
    let Some(url) = &settings.database_url else { return Ok(Vec::new()) };
    let database = pool::connect(url, 1).await?;
    migrate::check_schema(&database).await?;
    let durability = durability_warnings(&database).await?;
    let mut connection = database.acquire().await?;
    let members = sql::members(&mut connection).await?;
    let mut warnings = settings.warnings_for(&capacity::enrolled(&mut connection, None).await?);
    let loads: Vec<HostLoad> = sql::hosts(&mut connection).await?.into_iter().map(load).collect();
    warnings.extend(settings.warnings_for_hosts(&settings.host_limits()?, &loads));
    let shortages = partners::shortages(&members);
    warnings.extend(shortages.iter().map(|shortage| Warning::new("mailboxes", shortage.to_string())));
    warnings.extend(durability.into_iter().map(|text| Warning::new("DATABASE_URL", text)));
    Ok(warnings)
}

fn load(on: sql::OnHost) -> HostLoad {
    HostLoad { host: on.host, mailboxes: on.mailboxes.unsigned_abs(), quota: on.quota.unsigned_abs() }
}

fn show(vars: &BTreeMap<String, String>, json: bool) -> Result<String> {
    let listing = Settings::from_vars(vars)?.0.listing(vars);
    if json {
        return Ok(serde_json::to_string_pretty(&listing)? + "\n");
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["setting", "value", "unit", "from"]);
    table.add_rows(listing.iter().map(cells));
    Ok(table.trim_fmt() + "\n")
}

fn cells(shown: &SettingValue) -> [&str; 4] {
    let from = match shown.source {
        Source::Default => "default",
        Source::Environment => "environment",
    };
    [shown.name, shown.value.as_deref().unwrap_or("not set"), shown.unit, from]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(vars: &[(&str, &str)]) -> BTreeMap<String, String> {
        vars.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[tokio::test]
    async fn a_check_prints_warnings_and_what_is_missing_and_passes() {
        let text = check(&vars(&[("WARMUP_MIN_DAILY_QUOTA", "10")])).await.unwrap();
        assert!(text.contains("warning: WARMUP_MIN_DAILY_QUOTA: 10 is obeyed"), "{text}");
        assert!(text.contains("DATABASE_URL, REDIS_URL, WARMUP_MASTER_KEY"), "{text}");
        assert!(text.ends_with("no fault; set by the environment: 1, warnings: 1\n"), "{text}");
    }

    #[tokio::test]
    async fn a_check_finds_files_that_are_not_there_among_the_other_faults() {
        let faults = check(&vars(&[("WARMUP_TLS_CA_FILE", "/nowhere/ca.pem"), ("WARMUP_SHARDS", "0")]))
            .await
            .unwrap_err()
            .to_string();
        assert!(faults.contains("WARMUP_TLS_CA_FILE: `/nowhere/ca.pem` can't be read"), "{faults}");
        assert!(faults.contains("WARMUP_SHARDS: `0` is out of range"), "{faults}");
    }

    #[tokio::test]
    async fn a_check_reads_the_templates() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let given = vars(&[("WARMUP_TEMPLATES_FILE", file.path().to_str().unwrap())]);
        std::fs::write(file.path(), "=== mail\nSubject: {a\n\n{form}\n").unwrap();
        let faults = check(&given).await.unwrap_err().to_string();
        assert!(faults.contains("WARMUP_TEMPLATES_FILE: line 2: a { that is not closed"), "{faults}");
        assert!(faults.contains("WARMUP_TEMPLATES_FILE: line 4: {form} is unknown"), "{faults}");
        std::fs::write(file.path(), "=== reply\n\nYes.\n").unwrap();
        let text = check(&given).await.unwrap();
        assert!(text.contains("warning: WARMUP_TEMPLATES_FILE: line 1: only 1 of kind reply"), "{text}");
        std::fs::write(file.path(), b"=== reply\n\nJ\xe4.\n").unwrap();
        assert!(check(&given).await.unwrap_err().to_string().contains("not UTF-8"));
    }

    #[tokio::test]
    async fn a_check_reads_the_host_limits() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let given = vars(&[("WARMUP_HOST_LIMITS_FILE", file.path().to_str().unwrap())]);
        std::fs::write(file.path(), "a.org rate=5/week\nb.org\n").unwrap();
        let faults = check(&given).await.unwrap_err().to_string();
        assert!(faults.contains("WARMUP_HOST_LIMITS_FILE: line 1: `rate=5/week` is no rate"), "{faults}");
        assert!(faults.contains("WARMUP_HOST_LIMITS_FILE: line 2: it says no limit"), "{faults}");
        std::fs::write(file.path(), "a.org rate=5/day connections=2\n").unwrap();
        assert!(check(&given).await.unwrap().contains("no fault"));
        std::fs::write(file.path(), b"\xff").unwrap();
        assert!(check(&given).await.unwrap_err().to_string().contains("not UTF-8"));
    }

    #[test]
    fn a_bad_configuration_is_known_by_its_type() {
        let error = show(&vars(&[("WARMUP_SHARDS", "0")]), false).unwrap_err();
        assert!(error.downcast_ref::<SettingErrors>().is_some());
    }

    #[test]
    fn the_listing_is_for_people_or_json() {
        let given = vars(&[("WARMUP_ADMIN_TOKEN", "hunter2-hunter2-hunter2")]);
        let (text, json) = (show(&given, false).unwrap(), show(&given, true).unwrap());
        assert!(!text.contains("hunter2") && !json.contains("hunter2"));
        let line = text.lines().find(|line| line.contains("WARMUP_ADMIN_TOKEN")).unwrap();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["WARMUP_ADMIN_TOKEN", "set", "environment"]);
        let json: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        let pool = json.iter().find(|row| row["name"] == "WARMUP_DB_POOL").unwrap();
        assert_eq!((&pool["value"], &pool["source"]), (&"10".into(), &"default".into()));
    }
}
