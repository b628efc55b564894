//! The binary as an operator starts it: `run` with its probes and signals, and the commands that look.

use std::{
    fs::{self, File},
    future::ready,
    io::Write,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use warmup_support::{
    day::MASTER_KEY,
    world::{self, TestDatabase, TestRedis, eventually},
};

const BINARY: &str = env!("CARGO_BIN_EXE_warmup");

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const ANOTHER_KEY: &str = "YW5vdGhlciBtYXN0ZXIga2V5IHRoYXQgaXMgMzIgYnk=";

const CSV: &str = "email,password,smtp_host,smtp_port\n\
                   anna@one.test,secret-1,mail.one.test,465\n\
                   ben@two.test,secret-2,mail.two.test,587\n";

/// A database that `warmup migrate` has prepared, and a Redis.
struct Services {
    database: TestDatabase,
    redis: TestRedis,
}

impl Services {
    async fn start() -> Services {
        let (database, redis) = tokio::join!(world::postgres(), world::redis());
        let services = Services { database, redis };
        assert!(services.command(&["migrate"]).status().unwrap().success());
        services
    }

    /// A command whose environment holds nothing but these services.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        command.env("DATABASE_URL", self.database.url()).env("REDIS_URL", self.redis.url());
        command.env("WARMUP_MASTER_KEY", MASTER_KEY).env("WARMUP_HTTP_ADDR", "127.0.0.1:0");
        command.env("WARMUP_LEASE_TTL_MS", "1500").env("WARMUP_HEARTBEAT_MS", "500");
        command.env("WARMUP_LOG_FORMAT", "json");
        command
    }

    fn import(&self) {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(CSV.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap();
        assert!(self.command(&["mailbox", "import", path]).status().unwrap().success());
    }

    /// What a command that ends prints, as JSON.
    fn told(&self, args: &[&str]) -> serde_json::Value {
        let Output { status, stdout, stderr } = self.command(args).stdout(Stdio::piped()).output().unwrap();
        assert!(status.success(), "{args:?}: {}", String::from_utf8_lossy(&stderr));
        serde_json::from_slice(&stdout).unwrap()
    }

    async fn leases(&self) -> usize {
        let client = redis::Client::open(self.redis.url()).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*:lease:*").query_async(&mut redis).await.unwrap();
        keys.len()
    }
}

/// A running `warmup run`. Killed when dropped.
struct Running {
    child: Child,
    log: NamedTempFile,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let log = NamedTempFile::new().unwrap();
        let child = command.stderr(File::create(log.path()).unwrap()).spawn().unwrap();
        Running { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }

    /// Where the probes are answered, once the worker has said so.
    fn address(&self) -> Option<String> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut addresses = lines.filter_map(|line| Some(line["fields"]["address"].as_str()?.to_owned()));
        addresses.next()
    }

    async fn is_ready(&self) -> bool {
        match self.address() {
            Some(address) => status_of(&address, "/readyz").await == Some(200),
            None => false,
        }
    }

    async fn ready(&self) {
        eventually(PATIENCE, async || self.is_ready().await).await;
    }

    fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually(PATIENCE, || ready(child.try_wait().unwrap().is_some())).await;
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks a probe; `None` when nobody answers.
async fn status_of(address: &str, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn sigterm_ends_a_ready_worker_in_order_and_its_leases_are_gone() {
    let services = Services::start().await;
    let mut worker = Running::start(services.command(&["run"]));
    worker.ready().await;
    assert_eq!(status_of(&worker.address().unwrap(), "/healthz").await, Some(200));
    // All shards, the one of a worker that is alone, and the one of the leader.
    eventually(PATIENCE, async || services.leases().await == 258).await;

    worker.terminate();

    assert_eq!(worker.ended().await.code(), Some(0), "{}", worker.log());
    assert_eq!(services.leases().await, 0);
}

#[tokio::test]
async fn a_second_worker_refuses_to_run_beside_a_living_one() {
    let services = Services::start().await;
    let first = Running::start(services.command(&["run"]));
    first.ready().await;

    let mut second = Running::start(services.command(&["run"]));

    assert_eq!(second.ended().await.code(), Some(1), "{}", second.log());
    assert!(second.log().contains("another worker is running"), "{}", second.log());
    assert!(first.is_ready().await, "{}", first.log());
}

#[tokio::test]
async fn a_wrong_master_key_ends_the_start_and_disables_nobody() {
    let services = Services::start().await;
    services.import();
    let mut command = services.command(&["run"]);
    command.env("WARMUP_MASTER_KEY", ANOTHER_KEY);

    let mut worker = Running::start(command);

    assert_eq!(worker.ended().await.code(), Some(1), "{}", worker.log());
    assert!(worker.log().contains("WARMUP_MASTER_KEY"), "{}", worker.log());
    let states = "SELECT state FROM mailboxes";
    let states: Vec<String> = sqlx::query_scalar(states).fetch_all(services.database.pool()).await.unwrap();
    assert_eq!(states, ["active", "active"]);
    assert_eq!(services.leases().await, 0, "it never got as far as to take one");
}

/// Imports 500 mailboxes of one user.
fn import_500(services: &Services) {
    let mut file = NamedTempFile::new().unwrap();
    writeln!(file, "email,password,smtp_host,smtp_port").unwrap();
    (0..500).for_each(|at| writeln!(file, "m{at}@d{at}.test,secret,mail.d{at}.test,465").unwrap());
    let import = ["mailbox", "import", file.path().to_str().unwrap()];
    assert!(services.command(&import).status().unwrap().success());
}

#[tokio::test]
async fn a_worker_warns_after_an_import_that_its_caps_cannot_carry() {
    let services = Services::start().await;
    services.import();
    let worker = Running::start(services.command(&["run"]));
    worker.ready().await;
    assert!(!worker.log().contains("WARMUP_USER_HOURLY_LIMIT"), "{}", worker.log());

    import_500(&services);

    eventually(PATIENCE, async || worker.log().contains("set WARMUP_USER_HOURLY_LIMIT=")).await;
}

#[tokio::test]
async fn a_worker_warns_at_its_start_of_caps_that_cannot_carry_the_enrolment() {
    let services = Services::start().await;
    import_500(&services);

    let worker = Running::start(services.command(&["run"]));
    worker.ready().await;

    let log = worker.log();
    let warned = log.lines().find(|line| line.contains("WARMUP_USER_HOURLY_LIMIT")).expect("it is warned of");
    assert!(warned.contains("\"WARN\"") && warned.contains("set WARMUP_USER_HOURLY_LIMIT=2668"), "{warned}");
}

#[tokio::test]
async fn all_settings_that_are_missing_are_told_at_once() {
    let mut command = Command::new(BINARY);
    let Output { status, stderr, .. } = command.arg("run").env_clear().output().unwrap();
    let told = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(64), "{told}");
    for name in ["DATABASE_URL", "REDIS_URL", "WARMUP_MASTER_KEY"] {
        assert!(told.contains(name), "{name} is not in: {told}");
    }
}

#[tokio::test]
async fn imported_mailboxes_are_listed_shown_and_counted() {
    let services = Services::start().await;
    services.import();

    let listed = services.told(&["mailbox", "list", "--json"]);
    let emails: Vec<&str> =
        listed.as_array().unwrap().iter().map(|mailbox| mailbox["email"].as_str().unwrap()).collect();
    assert_eq!(emails, ["anna@one.test", "ben@two.test"]);

    let shown = services.told(&["mailbox", "show", "Anna@One.test", "--json"]);
    assert!(!shown.to_string().contains("secret-1"), "{shown}");
    assert_eq!(shown["email"], "anna@one.test");

    let status = services.told(&["status", "--json"]);
    assert!(status.to_string().contains("\"mailboxes\":2"), "{status}");
}
