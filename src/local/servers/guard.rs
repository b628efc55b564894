//! `ServerProcess` is a server that ends with this process, however this process ends.
//!
//! ```text
//!   this process ──(write end: the lifeline)── pipe ──(read end)── watcher (sh)
//!        │ parent of                                                  │ signals when the pipe ends
//!        └──────────────▶ server, which was the shell until its exec ◀┘
//! ```
//!
//! The kernel closes the lifeline when this process ends, also by SIGKILL. The watcher, blocked in `read`, sees
//! the end of file, asks the server to stop, and kills it after a time limit. An intended stop closes the
//! lifeline too, and waits. `prctl(PR_SET_PDEATHSIG)` is no alternative: it fires when the *thread* ends that
//! created the child, and a test's thread ends with its test.
//!
//! A server has its own process group, so that a Ctrl-C, which starts our drain, does not stop the database
//! during it.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::Duration,
};

use super::{ServerError, folder::fault, run_as::RunAs};

/// The shell script of the watcher. A line through the pipe says that the server has ended. Then the watcher
/// does nothing: the process id may already belong to another process, and the writer of the line lives and
/// removes the folder itself.
const SCRIPT: &str = r#"
stop=$1 patience=$2 swept=$3 server=$$
shift 3
exec 3<&0 </dev/null
# In a container whose first process reaps no orphans, a dead server keeps its entry.
dead() { grep -q '^State:.Z' "/proc/$server/status"; }
(
    if read -r _ <&3; then exit; fi
    kill -s "$stop" "$server"
    while kill -s 0 "$server" && ! dead && [ "$patience" -gt 0 ]; do
        sleep 0.1
        patience=$((patience - 1))
    done
    kill -s KILL "$server"
    [ -z "$swept" ] || rm -rf -- "$swept"
) >/dev/null 2>&1 &
exec 3<&-
exec "$@"
"#;

/// The PATH of the servers and of `initdb`. They get nothing else of our environment, because it holds secrets.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A `Plan` describes how to run one server.
pub(super) struct Plan<'a> {
    pub name: &'static str,
    pub program: &'a Path,
    pub args: Vec<OsString>,
    pub servant: &'a RunAs,
    /// The file for its output.
    pub log: PathBuf,
    /// The signal that asks it to stop: `INT`, `QUIT`, `TERM`.
    pub stop: &'static str,
    /// The longest stop, after which the server is killed.
    pub patience: Duration,
    /// A folder that is removed when we end, also when we are killed.
    pub swept: Option<&'a Path>,
}

/// A `ServerProcess` is a running server with its lifeline.
#[derive(Debug)]
pub(super) struct ServerProcess {
    name: &'static str,
    log: PathBuf,
    child: Child,
    lifeline: Option<ChildStdin>,
}

impl ServerProcess {
    /// Starts the server. It is not ready yet.
    pub fn start(plan: Plan<'_>) -> Result<ServerProcess, ServerError> {
        let log = File::create(&plan.log).map_err(fault(&plan.log, "creating the log"))?;
        let errors = log.try_clone().map_err(fault(&plan.log, "creating the log"))?;
        let mut command = Command::new("/bin/sh");
        let tenths = (plan.patience.as_millis() / 100).to_string();
        command.args(["-c", SCRIPT, "warmup-guard", plan.stop, &tenths]).arg(plan.swept.unwrap_or(Path::new("")));
        command.arg(plan.program).args(&plan.args);
        command.stdin(Stdio::piped()).stdout(log).stderr(errors).process_group(0);
        bare(&mut command, plan.servant);
        let mut child = command.spawn().map_err(fault(plan.program, "starting it under /bin/sh"))?;
        let lifeline = child.stdin.take();
        Ok(ServerProcess { name: plan.name, log: plan.log, child, lifeline })
    }

    /// Returns the exit status of the server, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        if let Some(mut lifeline) = self.lifeline.take() {
            // A failed write means that the watcher has ended and needs no message.
            let _ = lifeline.write_all(b"gone\n");
        }
        Some(status)
    }

    /// Returns the server's output; an empty text if it can't be read.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the error that the server `what` ("did not answer within 30 s"), with the end of its log.
    pub fn failed(&self, what: impl Into<String>) -> ServerError {
        ServerError::Failed { name: self.name, what: what.into(), log: tail(&self.log()) }
    }

    /// Stops the server by the plan's signal and returns when it has ended, at most `patience` later.
    pub async fn stop(self) {
        // The wait blocks, so it runs on a blocking thread. A runtime that shuts down drops the task, which
        // stops the server too.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    /// Kills the server like an outage, and returns when it has ended.
    pub async fn kill(mut self) {
        let killed = tokio::task::spawn_blocking(move || {
            if self.child.kill().is_ok() {
                // A process can't refuse SIGKILL, so this wait ends.
                let _ = self.child.wait();
            }
            self.ended();
        });
        let _ = killed.await;
    }

    /// Returns the process id of the server.
    #[cfg(test)]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.lifeline = None;
            // The watcher kills a server that does not stop, so this wait ends.
            let _ = self.child.wait();
        }
    }
}

/// Makes `command` run as the user `servant`, from the root folder, with an environment that holds nothing of ours.
pub(super) fn bare(command: &mut Command, servant: &RunAs) {
    command.current_dir("/").env_clear().env("PATH", PATH).env("LC_ALL", "C");
    servant.run(command);
}

/// Runs a program to its end as the servant. If it fails, returns the end of its output.
pub(super) async fn run(program: &Path, args: &[OsString], servant: &RunAs) -> io::Result<Result<(), String>> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    bare(&mut command, servant);
    let output = tokio::process::Command::from(command).kill_on_drop(true).output().await?;
    let said = [output.stdout, output.stderr].concat();
    Ok(output.status.success().then_some(()).ok_or_else(|| tail(&String::from_utf8_lossy(&said))))
}

/// Returns the last lines of a log, which contain the reason.
fn tail(log: &str) -> String {
    const LINES: usize = 15;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
