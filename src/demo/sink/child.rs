//! `SinkHandle` runs the sink as a child process.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::{Options, SinkError};

/// The longest start. A start takes some milliseconds; a machine under load gets a thousand times that.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The first and only line on the sink's stdout.
#[derive(Deserialize)]
struct Ready {
    port: u16,
}

/// A `SinkHandle` is a running sink. Dropping it kills the process.
#[derive(Debug)]
pub struct SinkHandle {
    child: Child,
    port: u16,
    journal: PathBuf,
    ca: PathBuf,
}

impl SinkHandle {
    /// Returns the port on 127.0.0.1 on which the sink listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the file of acceptances, for [`super::read_journal`].
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// Returns the PEM file for `WARMUP_TLS_CA_FILE`.
    pub fn ca_file(&self) -> &Path {
        &self.ca
    }

    /// Closes the sink's stdin and waits until the process has ended.
    pub async fn stop(mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }
}

/// Starts `exe sink` and waits until it accepts connections.
///
/// The sink gets its own process group, so that a Ctrl-C on the terminal lets the parent drain first.
pub async fn spawn(exe: &Path, options: &Options) -> Result<SinkHandle, SinkError> {
    let mut child = command(exe, options).spawn().map_err(|error| SinkError::Start { exe: exe.to_owned(), error })?;
    let stdout = child.stdout.take().ok_or_else(|| SinkError::NotReady("it has no stdout".into()))?;
    let mut line = String::new();
    timeout(READY_WITHIN, BufReader::new(stdout).read_line(&mut line))
        .await
        .map_err(|_elapsed| SinkError::NotReady(format!("nothing within {READY_WITHIN:?}")))?
        .map_err(|error| SinkError::NotReady(error.to_string()))?;
    let ready: Ready = serde_json::from_str(&line).map_err(|_| SinkError::NotReady(format!("it said `{line}`")))?;
    Ok(SinkHandle { child, port: ready.port, journal: options.journal.clone(), ca: options.ca.clone() })
}

fn command(exe: &Path, options: &Options) -> Command {
    let mut command = Command::new(exe);
    command
        .arg("sink")
        .arg("--journal")
        .arg(&options.journal)
        .arg("--ca")
        .arg(&options.ca)
        .args(["--faults", &options.faults.to_string(), "--seed", &options.seed.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(path) = &options.password_file {
        command.arg("--password-file").arg(path);
    }
    command
}
