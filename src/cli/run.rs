//! `warmup run`: a worker and its probes, until SIGTERM or Ctrl-C.

use std::{process::ExitCode, sync::Arc};

use super::{session, stop};
use crate::{
    adapters::system::{Dice, SystemClock},
    api,
    app::serve,
    config::LogFormat,
    observe::logging,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    let settings = session::settings()?;
    logging::start(settings.log_format == LogFormat::Json);
    let stop = stop::on_signal()?;
    let report =
        serve::serve(&settings, Arc::new(SystemClock::real()), Arc::new(Dice::random()), api::serve, stop).await?;
    Ok(if report.abandoned == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
