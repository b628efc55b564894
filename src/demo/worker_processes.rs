//! Several workers on one machine, each a process of its own, as pods are: `warmup run` with servers that we own.
//!
//! Each stands in a process group of its own, so that the Ctrl-C of a terminal reaches us alone and we stop them in order.
//! Each has a pipe from us as its standard input and ends in order when that ends, so that none outlives us, however we
//! end.

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

/// How often the workers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One worker.
#[derive(Debug)]
pub struct Teammate {
    pub name: String,
    pub http: SocketAddr,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Teammate {
    /// Its process; none once it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// Running workers.
#[derive(Debug)]
pub struct WorkerProcesses {
    workers: Vec<Teammate>,
}

impl WorkerProcesses {
    /// Starts `exe run` so many times, as worker-1, worker-2 and so on, with `vars` over our own environment. What they
    /// log goes to our standard error, each line behind its worker's name.
    pub fn start(exe: &Path, workers: u16, vars: &[(&str, String)]) -> io::Result<WorkerProcesses> {
        let mut team = WorkerProcesses { workers: Vec::new() };
        for number in 1..=workers {
            let (name, http) = (format!("worker-{number}"), free_address()?);
            let mut command = Command::new(exe);
            command.args(["run", "--with-parent"]).envs(vars.iter().map(|(name, value)| (name, value)));
            command.env("WARMUP_WORKER_ID", &name).env("WARMUP_HTTP_ADDR", http.to_string());
            // One address can't be all of theirs; each tells its metrics at its own one.
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

    /// Waits until every worker has ended without being told to. Each end is told; nobody is started again, so that it can
    /// be seen how the others take over.
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

    /// Stops all workers in order, and returns whether each has finished or settled all it started.
    pub async fn stop(mut self) -> bool {
        for worker in &self.workers {
            if let Some(pid) = worker.pid().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                // One that has just ended needs no signal.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        let mut well = true;
        for worker in &mut self.workers {
            let status = worker.child.wait().await;
            // Who dies of the signal had not even begun: it had not asked to hear of it.
            let ended = |status: ExitStatus| status.success() || status.signal() == Some(Signal::TERM.as_raw());
            well &= worker.ended.is_some() || status.is_ok_and(ended);
        }
        well
    }
}

/// Another process may take it first; then the worker says so and ends.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

async fn pass_on(name: String, log: ChildStderr) {
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("{name} | {line}");
    }
}
