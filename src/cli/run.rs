//! `warmup run` runs a worker with its API and probes, until SIGTERM or Ctrl-C.

use std::{process::ExitCode, sync::Arc, time::Duration};

use super::{session, stop};
use crate::{
    adapters::system::{SeededRng, SystemClock},
    app::{credentials::PATIENCE, serve},
    config::LogFormat,
    observe::logging,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Stop too when standard input ends: a parent holds it open, and is gone then.
    #[arg(long, hide = true)]
    with_parent: bool,
    /// Rehearse: stop after so many milliseconds of refused credentials.
    #[arg(long, hide = true, value_name = "MILLISECONDS")]
    credentials_patience_ms: Option<u64>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = session::settings_with_warnings()?;
    let telemetry = session::telemetry(&settings)?;
    logging::start(settings.log_format == LogFormat::Json);
    let stop = stop::on_signal()?;
    if args.with_parent {
        let (orphaned, told) = (stop::stdin_closed(), stop.clone());
        tokio::spawn(async move {
            // The reader drops its sender when standard input closes, so this always ends with an error.
            let _ = orphaned.await;
            told.cancel();
        });
    }
    let (clock, dice) = (Arc::new(SystemClock::real()), Arc::new(SeededRng::random()));
    let patience = args.credentials_patience_ms.map_or(PATIENCE, Duration::from_millis);
    let report = serve::serve_for(&settings, &telemetry, clock, dice, |_| {}, patience, stop).await;
    telemetry.end().await;
    Ok(if report?.abandoned == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
