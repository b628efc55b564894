//! This module runs the real binary as a child process, with the settings of a test.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::timeout,
};

/// The master key of all commands of a test; any key works.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The settings under which all mails are due at once and nothing waits. The fleet misses a dead worker
/// within two seconds. Each test sets the cooldown of its mailboxes itself.
pub const NOTHING_WAITS: [(&str, &str); 15] = [
    ("WARMUP_SHARDS", "8"),
    ("WARMUP_ACTIVE_HOURS", "00:00-24:00"),
    ("WARMUP_MAX_CONCURRENT", "4"),
    ("WARMUP_STAGGER_MIN_MS", "0"),
    ("WARMUP_STAGGER_MAX_MS", "0"),
    ("WARMUP_REPLY_DELAY_MIN", "0"),
    ("WARMUP_REPLY_DELAY_MAX", "0"),
    ("WARMUP_CRON_INTERVAL_MINUTES", "1"),
    ("WARMUP_CRON_SPREAD_MINUTES", "0"),
    ("WARMUP_GLOBAL_MINUTE_LIMIT", "100000"),
    ("WARMUP_GLOBAL_HOURLY_LIMIT", "1000000"),
    ("WARMUP_USER_MINUTE_LIMIT", "100000"),
    ("WARMUP_USER_HOURLY_LIMIT", "1000000"),
    ("WARMUP_LEASE_TTL_MS", "1500"),
    ("WARMUP_HEARTBEAT_MS", "500"),
];

/// The binary and its environment. It inherits nothing of this process's environment.
pub struct Binary {
    program: PathBuf,
    settings: BTreeMap<String, String>,
    folder: TempDir,
    runs: AtomicU32,
}

impl Binary {
    /// Configures `program` to run against these services.
    pub fn new(program: &str, database_url: &str, redis_url: &str) -> Binary {
        let folder = TempDir::new().expect("a temporary folder");
        let binary = Binary { program: program.into(), settings: BTreeMap::new(), folder, runs: AtomicU32::new(0) };
        binary
            .with("DATABASE_URL", database_url)
            .with("REDIS_URL", redis_url)
            .with("WARMUP_MASTER_KEY", MASTER_KEY)
            .with("WARMUP_ALLOW_PLAINTEXT", "true")
            .with("WARMUP_ALLOW_PRIVATE_HOSTS", "true")
    }

    /// Changes a setting.
    pub fn with(mut self, name: &str, value: impl ToString) -> Binary {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// Runs a command, which must succeed, and returns its standard output.
    pub async fn command(&self, arguments: &[&str], input: &str) -> String {
        let mut command = self.bare();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(input.as_bytes()).await.expect("the command reads its input");
        drop(stdin);
        let output = child.wait_with_output().await.expect("our child can be waited for");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "warmup {arguments:?} ended with {}: {said}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command, which must fail, and returns its error output.
    pub async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.bare().args(arguments).stdin(Stdio::null()).output().await.expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "warmup {arguments:?} did not fail: {said}");
        said
    }

    /// Starts `warmup run`.
    pub fn run(&self) -> Running {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.path().join(format!("run-{run}.log"));
        let file = File::create(&log).expect("the folder is ours");
        let mut command = self.bare();
        command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(file));
        Running { child: command.spawn().expect("the binary starts"), log }
    }

    fn bare(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(&self.settings).env("NO_COLOR", "1").kill_on_drop(true);
        command
    }
}

/// The longest wait for the start of a worker: more than a busy machine needs.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// Returns the address in a line of the log.
fn address(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(line["fields"]["address"].as_str()?.to_owned())
}

/// A running worker. It is killed when dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Kills the worker as `kill -9` does, and returns when it has ended.
    pub async fn kill(mut self) {
        let alive = self.child.try_wait().expect("our child can be asked for");
        assert!(alive.is_none(), "the worker ended by itself, {alive:?}:\n{}", self.log());
        self.child.kill().await.expect("our child may be killed");
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the worker has not ended")
    }

    /// Sends SIGTERM.
    pub async fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().await.expect("kill runs");
        assert!(sent.success(), "the worker was gone before its SIGTERM");
    }

    /// Waits for its end, which must happen within `deadline`.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let ended = timeout(deadline, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("the worker did not end within {deadline:?}:\n{}", self.log()));
        status.expect("our child can be waited for")
    }

    /// Returns true if the worker runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the log names the address of the API (`WARMUP_HTTP_ADDR` with port 0, logs as JSON), and
    /// returns it.
    pub async fn address(&self) -> String {
        let told = async {
            loop {
                if let Some(address) = self.log().lines().find_map(address) {
                    return address;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let told = timeout(LONGEST_SILENCE, told).await;
        told.unwrap_or_else(|_| panic!("the worker did not say where it answers:\n{}", self.log()))
    }

    /// Returns its log, for the message of a failed test.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
