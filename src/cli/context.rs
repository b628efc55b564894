//! What every command begins with: the settings with their warnings, the time, a signal to stop.

use chrono::{DateTime, Utc};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;

/// Reads the settings from the environment and prints what is self-defeating about them.
pub(super) fn settings() -> anyhow::Result<Settings> {
    let (settings, warnings) = Settings::from_env()?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    Ok(settings)
}

/// The time at which a command began.
#[expect(clippy::disallowed_methods, reason = "a command reads the wall clock once, at its beginning")]
pub(super) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Returns a token that SIGTERM or Ctrl-C cancels; a second one ends the process at once.
pub(super) fn stop_signal() -> anyhow::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM"),
            _ = interrupt.recv() => tracing::info!("Ctrl-C"),
        }
        told.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("told twice to stop: what is on its way will be swept as uncertain");
        std::process::exit(1);
    });
    Ok(stop)
}
