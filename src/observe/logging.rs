//! Logs: to stderr, as text for people (in colour on a terminal) or JSON for machines; `RUST_LOG` filters (default `info`).

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::Path,
    sync::Mutex,
};

use tracing_subscriber::EnvFilter;

/// Starts logging. A second call in one process is ignored.
pub fn start(json: bool) {
    let builder = tracing_subscriber::fmt().with_env_filter(filter()).with_writer(io::stderr);
    // Codes for colours make no file and no journal more readable.
    let builder = if io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
    let started = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}

/// Starts logging into a file, where the terminal is needed for something else.
pub fn start_in_file(path: &Path) -> io::Result<()> {
    let file = Mutex::new(File::create(path)?);
    let builder = tracing_subscriber::fmt().with_env_filter(filter()).with_ansi(false).with_target(false);
    if let Err(error) = builder.with_writer(file).try_init() {
        tracing::debug!(%error, "logging was started before");
    }
    Ok(())
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"))
}
