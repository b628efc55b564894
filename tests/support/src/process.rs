//! The real binary as a child process, with the settings of a test.

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

/// Any key will do, as long as all commands of a test have the same.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Under which everything is due at once and nothing waits, and a dead worker is missed within two seconds. How long a mailbox
/// cools down is each test's own matter.
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

/// The binary and the environment that it is run in. Nothing of this process's environment is passed on.
pub struct Binary {
    program: PathBuf,
    settings: BTreeMap<String, String>,
    folder: TempDir,
    runs: AtomicU32,
}

impl Binary {
    /// Runs `program` against these services.
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

    /// Runs a command to its end, which must be a good one, and returns what it printed.
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

    /// Runs a command that must fail, and returns what it said.
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

/// Longer than a worker takes to start on a busy machine.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The address in a line of the log.
fn address(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(line["fields"]["address"].as_str()?.to_owned())
}

/// A running worker. Killed when dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Kills it as `kill -9` does, and returns when it is gone.
    pub async fn kill(mut self) {
        let alive = self.child.try_wait().expect("our child can be asked for");
        assert!(alive.is_none(), "the worker ended by itself, {alive:?}:\n{}", self.log());
        self.child.kill().await.expect("our child may be killed");
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("the worker has not ended")
    }

    /// Sends SIGTERM.
    pub async fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().await.expect("kill runs");
        assert!(sent.success(), "the worker was gone before its SIGTERM");
    }

    /// Waits for its end, which must come within `deadline`.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let ended = timeout(deadline, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("the worker did not end within {deadline:?}:\n{}", self.log()));
        status.expect("our child can be waited for")
    }

    /// Says whether it runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it says where it answers (`WARMUP_HTTP_ADDR` with port 0, logs as JSON), and returns that.
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

    /// What it has logged, for the message of a test that failed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
