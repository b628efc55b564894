//! `Session` holds the parts that database commands share: settings, pool and time. This module also prints
//! output that a pipe may cut off.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Write},
    path::PathBuf,
};

use chrono::{DateTime, Utc};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    adapters::postgres::{migrate, pool},
    config::{SettingErrors, Settings, Warning, environment},
    local::data_dir,
    observe::telemetry::Telemetry,
};

/// One command's way to the database.
pub(super) struct Session {
    pub(super) settings: Settings,
    pub(super) pool: PgPool,
    pub(super) now: DateTime<Utc>,
    /// The data folder whose `master.key` is the key of the settings; none where they name one themselves.
    pub(super) key_folder: Option<PathBuf>,
}

impl Session {
    /// Connects, whatever release the database is at.
    pub(super) async fn connect() -> anyhow::Result<Session> {
        let (settings, _) = settings()?;
        let names_key = settings.master_key.is_some();
        let settings = attached(settings)?;
        let in_folder = !names_key && settings.master_key.is_some();
        let key_folder = if in_folder { data_folder(&settings) } else { None };
        let pool = pool::connect(settings.require_database()?, settings.db_pool).await?;
        Ok(Session { settings, pool, now: now(), key_folder })
    }

    /// Connects to a database that is at this release.
    pub(super) async fn open() -> anyhow::Result<Session> {
        let session = Session::connect().await?;
        migrate::check_schema(&session.pool).await?;
        Ok(session)
    }
}

/// Reads the settings, with their warnings.
pub(super) fn settings() -> anyhow::Result<(Settings, Vec<Warning>)> {
    Ok(Settings::with_files(&vars()?)?)
}

/// Reads the settings of a process that works, and prints their warnings.
pub(super) fn settings_with_warnings() -> anyhow::Result<Settings> {
    let (settings, warnings) = settings()?;
    print_warnings(&warnings);
    Ok(settings)
}

pub(super) fn print_warnings(warnings: &[Warning]) {
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
}

/// The environment; where it names no database, over the settings that `warmup local` keeps in its data folder.
pub(super) fn vars() -> Result<BTreeMap<String, String>, SettingErrors> {
    let vars = environment();
    // The caller that reads all settings reports their errors.
    let Ok((settings, _)) = Settings::from_vars(&vars) else { return Ok(vars) };
    match data_folder(&settings).filter(|_| settings.database_url.is_none() && settings.database_url_file.is_none()) {
        Some(folder) => data_dir::with_saved(&folder, vars),
        None => Ok(vars),
    }
}

/// Starts the traces of a process that works, in its worker's name where it has one.
pub(super) fn telemetry(settings: &Settings) -> anyhow::Result<Telemetry> {
    let instance = settings.worker_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    Ok(Telemetry::start(&environment(), &instance)?)
}

/// The data folder of `warmup local`.
pub(super) fn data_folder(settings: &Settings) -> Option<PathBuf> {
    settings.data_folder(&environment(), rustix::process::geteuid().is_root())
}

/// Where no database is named: the settings with the servers and the key of the `warmup local` that runs on the data
/// folder, if there ever was one.
pub(super) fn attached(mut settings: Settings) -> anyhow::Result<Settings> {
    let folder = data_folder(&settings).filter(|_| settings.database_url.is_none());
    let Some(folder) = folder else { return Ok(settings) };
    if let Some(running) = data_dir::find(&folder)? {
        settings.database_url = Some(running.database_url.into());
        settings.redis_url = Some(running.redis_url.into());
        if settings.master_key.is_none() {
            settings.master_key = data_dir::read_key(&folder)?.map(|found| found.key);
        }
    }
    Ok(settings)
}

/// The time at which a command began.
#[expect(clippy::disallowed_methods, reason = "a command reads the time once, at its start; a worker has its clock")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Writes `text` and a line end to standard output. A reader that has seen enough (`| head`) is no failure.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Writes `value` as JSON to standard output.
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&serde_json::to_string_pretty(value)?)?)
}

/// A table with these headings; the columns in `numbers` are aligned to the right.
pub(super) fn table(headings: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings);
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// An instant to the second, in UTC.
pub(super) fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A number with its noun.
pub(super) fn count(number: usize, noun: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { noun } else { plural })
}
