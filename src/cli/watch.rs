//! `--watch` repeats a view every two seconds until Ctrl-C. It redraws a terminal, writes one line each time to
//! a pipe, and one JSON document per line with `--json`.

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::session::{instant, now, print, print_json};

const EVERY: Duration = Duration::from_secs(2);

/// Takes the cursor home and clears what is below.
const HOME: &str = "\x1b[H\x1b[J";

/// How something is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Look again every two seconds until Ctrl-C: drawn anew on a terminal, a line each time where it is piped.
    #[arg(long)]
    watch: bool,
}

/// What a look finds.
pub(super) trait WatchView: Serialize {
    /// All of it.
    fn full_text(&self) -> anyhow::Result<String>;
    /// The gist, in one line.
    fn summary_line(&self) -> String;
}

#[derive(Clone, Copy)]
enum Form {
    Screen,
    Lines,
    Json,
}

impl Watch {
    /// Looks once, or until Ctrl-C. The first look must succeed; what comes between later ones is told and outlived.
    pub(super) async fn show<T: WatchView>(
        &self,
        mut look: impl AsyncFnMut(DateTime<Utc>) -> anyhow::Result<T>,
    ) -> anyhow::Result<ExitCode> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let first = look(now()).await?;
        if !self.watch {
            match self.json {
                true => print_json(&first)?,
                false => print(&first.full_text()?)?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mut found = Ok(first);
        loop {
            if !self.form().tell(found)? {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::select! {
                biased;
                _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
                _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
                next = later(&mut look) => found = next,
            }
        }
    }

    fn form(&self) -> Form {
        match self.json {
            true => Form::Json,
            false if io::stdout().is_terminal() => Form::Screen,
            false => Form::Lines,
        }
    }
}

async fn later<T>(look: &mut impl AsyncFnMut(DateTime<Utc>) -> anyhow::Result<T>) -> anyhow::Result<T> {
    tokio::time::sleep(EVERY).await;
    look(now()).await
}

impl Form {
    /// Says whether anybody reads on.
    fn tell<T: WatchView>(self, found: anyhow::Result<T>) -> anyhow::Result<bool> {
        let at = instant(now());
        let text = match (self, &found) {
            (Form::Screen, Ok(found)) => {
                format!(
                    "{HOME}{}\n\n{at}, again every {} s; Ctrl-C ends",
                    found.full_text()?.trim_end(),
                    EVERY.as_secs()
                )
            }
            (Form::Lines, Ok(found)) => format!("{at}  {}", found.summary_line()),
            (Form::Json, Ok(found)) => serde_json::to_string(found)?,
            (_, Err(error)) => {
                eprintln!("{at}  no answer, asking again: {error:#}");
                return Ok(true);
            }
        };
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            done => Ok(done.map(|()| true)?),
        }
    }
}
