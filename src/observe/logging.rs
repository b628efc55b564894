//! Logs: to stderr, as text for people or JSON for machines; `RUST_LOG` filters (default `info`).

use tracing_subscriber::EnvFilter;

/// Starts logging. A second call in one process is ignored.
pub fn start(json: bool) {
    let filter = || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter()).with_writer(std::io::stderr);
    let started = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    if let Err(error) = started {
        tracing::debug!(%error, "logging was started before");
    }
}
