//! A private Redis that a test may damage: on a free port, in a folder of its own, without persistence unless it is
//! asked to save, gone when the test is over.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use redis::{Client, Cmd, FromRedisValue, TlsCertificates, aio::MultiplexedConnection};
use tempfile::TempDir;
use warmup::{
    adapters::redis::{Pool, check_version, open},
    ports::PortError,
};

use crate::mailstack::Authority;

/// A Redis starts in some 25 ms; this is for a machine that does many other things.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// A running (or killed) redis-server.
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    /// Where the nodes of a cluster speak to one another.
    bus: u16,
    arguments: Vec<String>,
    /// Who signed its certificate, which is for `localhost`; without one it speaks without TLS.
    authority: Option<Authority>,
    process: Option<Child>,
}

/// Opens connections to a Redis that answers and is new enough.
pub async fn connect(url: &str, size: usize) -> Result<Pool, PortError> {
    let pool = open(url, size)?;
    check_version(&pool).await?;
    Ok(pool)
}

impl RedisServer {
    /// Starts an empty server.
    pub async fn start() -> RedisServer {
        RedisServer::start_with(&[]).await
    }

    /// Starts an empty server with further arguments, as `["--cluster-enabled", "yes"]`.
    pub async fn start_with(arguments: &[&str]) -> RedisServer {
        RedisServer::start_as(arguments, None).await
    }

    /// Starts an empty server that speaks TLS only, with a certificate for `localhost` and further arguments.
    pub async fn start_encrypted(authority: &Authority, arguments: &[&str]) -> RedisServer {
        RedisServer::start_as(arguments, Some(authority.clone())).await
    }

    async fn start_as(arguments: &[&str], authority: Option<Authority>) -> RedisServer {
        let folder = TempDir::new().expect("a temporary folder");
        if let Some(authority) = &authority {
            let (certificate, key) = authority.issue("localhost");
            for (name, text) in [("certificate.pem", certificate), ("key.pem", key)] {
                std::fs::write(folder.path().join(name), text).expect("a temporary folder is written");
            }
        }
        let arguments = arguments.iter().map(|argument| argument.to_string()).collect();
        let mut server = RedisServer { folder, port: 0, bus: 0, arguments, authority, process: None };
        // Between finding the port free and Redis' taking it somebody else may: then another one.
        for _ in 0..10 {
            (server.port, server.bus) = (free_port(), free_port());
            if server.launch().await {
                return server;
            }
        }
        panic!("redis-server did not start on any of ten ports: {}", server.log());
    }

    /// The address of the server, for REDIS_URL.
    pub fn url(&self) -> String {
        match &self.authority {
            Some(_) => format!("rediss://localhost:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// The port at which other nodes of a cluster speak to it.
    pub fn bus(&self) -> u16 {
        self.bus
    }

    /// The port on 127.0.0.1; it stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection of the test's own, beside those of what it tests.
    pub async fn connection(&self) -> MultiplexedConnection {
        self.try_connection().await.expect("the server runs")
    }

    /// Runs one command.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.connection().await).await.expect("the server does what a test asks")
    }

    /// Throws away every key.
    pub async fn flush_all(&self) {
        self.run::<()>(&redis::cmd("FLUSHALL")).await;
    }

    /// Says how often the server has run `command` (lower case) since it started, as it counts itself.
    pub async fn calls(&self, command: &str) -> u64 {
        let told: String = self.run(redis::cmd("INFO").arg("commandstats")).await;
        let line = format!("cmdstat_{command}:calls=");
        let count = told.lines().find_map(|stat| stat.strip_prefix(&line)?.split(',').next()?.parse().ok());
        count.unwrap_or(0)
    }

    /// Saves what the server holds into a file of its own, and returns that.
    pub async fn save(&self, name: &str) -> PathBuf {
        self.run::<()>(&redis::cmd("SAVE")).await;
        let copy = self.folder.path().join(name);
        std::fs::copy(self.dump(), &copy).expect("SAVE has written the dump");
        copy
    }

    /// Kills the server as `kill -9` does: nothing is saved, connections break.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("our child may be killed");
            process.wait().expect("our child can be waited for");
        }
    }

    /// Kills the server and starts it with what it saved last, or empty.
    pub async fn restart(&mut self) {
        self.kill();
        assert!(self.launch().await, "redis-server did not start again: {}", self.log());
    }

    /// Kills the server and starts it with the data of an earlier `save`.
    pub async fn restart_from(&mut self, saved: &Path) {
        self.kill();
        std::fs::copy(saved, self.dump()).expect("the saved file is there");
        self.restart().await;
    }

    fn dump(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Starts the process and waits until it answers. False when it ended instead.
    async fn launch(&mut self) -> bool {
        self.process = Some(self.command().spawn().unwrap_or_else(|error| {
            panic!(
                "redis-server 7.0 or newer must be on PATH for these tests (Debian: apt install redis-server): {error}"
            )
        }));
        let answers = async {
            while self.alive() {
                if self.try_connection().await.is_ok() {
                    return true;
                }
                tokio::time::sleep(POLL).await;
            }
            false
        };
        match tokio::time::timeout(PATIENCE, answers).await {
            Ok(answers) => answers,
            Err(_) => panic!("redis-server does not answer within {PATIENCE:?}: {}", self.log()),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--cluster-port", &self.bus.to_string()])
            .args(self.listening())
            .args(["--dbfilename", "dump.rdb", "--logfile", "log", "--dir"])
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn listening(&self) -> Vec<String> {
        let port = self.port.to_string();
        let Some(authority) = &self.authority else { return vec!["--port".to_owned(), port] };
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let words = [
            ("--port", "0".to_owned()),
            ("--tls-port", port),
            ("--tls-cert-file", file("certificate.pem")),
            ("--tls-key-file", file("key.pem")),
            ("--tls-ca-cert-file", authority.file().display().to_string()),
            ("--tls-auth-clients", "no".to_owned()),
            ("--tls-cluster", "yes".to_owned()),
        ];
        words.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    fn client(&self) -> redis::RedisResult<Client> {
        let Some(authority) = &self.authority else { return Client::open(self.url()) };
        let root_cert = Some(std::fs::read(authority.file()).expect("the authority's file is there"));
        Client::build_with_tls(self.url(), TlsCertificates { client_tls: None, root_cert })
    }

    fn alive(&mut self) -> bool {
        let process = self.process.as_mut().expect("just launched");
        matches!(process.try_wait(), Ok(None))
    }

    /// Connects and asks, because a server that loads its data accepts before it serves; and makes sure that it is
    /// ours that answers and not another that took the port.
    async fn try_connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        let client = self.client()?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<()>(&mut connection).await?;
        let told: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
        let ours = format!("process_id:{}\r", self.process.as_ref().map_or(0, Child::id));
        match told.contains(&ours) {
            true => Ok(connection),
            false => Err((redis::ErrorKind::Client, "another server answers on our port").into()),
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
