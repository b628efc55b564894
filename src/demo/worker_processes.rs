//! `WorkerProcesses` runs several workers on one machine, each as its own process like a pod: `warmup run` on
//! our servers.
//!
//! Each worker has its own process group, so that Ctrl-C on a terminal reaches only the parent, which then stops
//! the workers in order. The standard input of each worker is a pipe from the parent. A worker drains and ends
//! when the pipe ends, so no worker outlives the parent, however the parent ends.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, Command},
};

/// The time between two checks of the workers.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A `Teammate` is one worker process.
#[derive(Debug)]
pub struct Teammate {
    pub name: String,
    pub http: SocketAddr,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Teammate {
    /// Returns the process id; `None` after the worker has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// `WorkerProcesses` are the running workers.
#[derive(Debug)]
pub struct WorkerProcesses {
    workers: Vec<Teammate>,
}

impl WorkerProcesses {
    /// Starts `workers` processes of `exe run`, named worker-1, worker-2 and so on, with `vars` added to our own
    /// environment. Their logs go to our standard error, with the worker's name before each line.
    pub fn start(exe: &Path, workers: u16, vars: &[(&str, String)]) -> io::Result<WorkerProcesses> {
        let mut team = WorkerProcesses { workers: Vec::new() };
        for number in 1..=workers {
            let (name, http) = (format!("worker-{number}"), free_address()?);
            let mut command = Command::new(exe);
            command.args(["run", "--with-parent"]).envs(vars.iter().map(|(name, value)| (name, value)));
            command.env("WARMUP_WORKER_ID", &name).env("WARMUP_HTTP_ADDR", http.to_string());
            // The workers can't share one metrics address, so each serves its metrics at its own API address.
            command.env_remove("WARMUP_METRICS_ADDR");
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
            let mut child = command.spawn()?;
            if let Some(log) = child.stderr.take() {
                tokio::spawn(pass_on(name.clone(), log));
            }
            team.workers.push(Teammate { name, http, child, ended: None });
        }
        Ok(team)
    }

    pub fn workers(&self) -> &[Teammate] {
        &self.workers
    }

    /// Waits until every worker has ended without a stop. Logs each end and restarts no worker, so that the
    /// others can be watched taking over.
    pub async fn all_ended(&mut self) {
        while self.workers.iter().any(|worker| worker.ended.is_none()) {
            tokio::time::sleep(LOOK_EVERY).await;
            for worker in self.workers.iter_mut().filter(|worker| worker.ended.is_none()) {
                if let Ok(Some(status)) = worker.child.try_wait() {
                    tracing::warn!(worker = worker.name, %status, "a worker has ended by itself: it is not started again");
                    worker.ended = Some(status);
                }
            }
        }
    }

    /// Stops all workers in order. Returns whether each has finished or settled all its mails.
    pub async fn stop(mut self) -> bool {
        for worker in &self.workers {
            if let Some(pid) = worker.pid().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                // A worker that has just ended needs no signal.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        let mut well = true;
        for worker in &mut self.workers {
            let status = worker.child.wait().await;
            // A worker that died of the signal had not installed its handler yet, so it had sent nothing.
            let ended = |status: ExitStatus| status.success() || status.signal() == Some(Signal::TERM.as_raw());
            well &= worker.ended.is_some() || status.is_ok_and(ended);
        }
        well
    }
}

/// Returns a free loopback address. Another process may take it first; then the worker reports that and ends.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

async fn pass_on(name: String, log: ChildStderr) {
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("{name} | {line}");
    }
}
