//! `RedisServer` is a private Redis that a test may damage. It uses a free port and an own folder, has no
//! persistence unless the test saves, and ends with the test.

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

/// The longest wait for the start, on a busy machine; normally Redis starts in 25 ms.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// A running (or killed) redis-server.
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    /// The port at which the nodes of a cluster connect to each other.
    bus: u16,
    arguments: Vec<String>,
    /// The signer of its certificate, which is for `localhost`; `None` for a server without TLS.
    authority: Option<Authority>,
    process: Option<Child>,
}

/// Opens connections to a Redis that answers and has a supported version.
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

    /// Starts an empty server with further arguments, such as `["--cluster-enabled", "yes"]`.
    pub async fn start_with(arguments: &[&str]) -> RedisServer {
        RedisServer::start_as(arguments, None).await
    }

    /// Starts an empty server that accepts TLS only, with a certificate for `localhost` and further
    /// arguments.
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
        // Another process may take the free port before Redis binds it; the loop then tries another port.
        for _ in 0..10 {
            (server.port, server.bus) = (free_port(), free_port());
            if server.launch().await {
                return server;
            }
        }
        panic!("redis-server did not start on any of ten ports: {}", server.log());
    }

    /// Returns the URL of the server, for REDIS_URL.
    pub fn url(&self) -> String {
        match &self.authority {
            Some(_) => format!("rediss://localhost:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Returns the port at which other nodes of a cluster connect to it.
    pub fn bus(&self) -> u16 {
        self.bus
    }

    /// Returns the port on 127.0.0.1; it does not change with a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Opens a connection for the test itself, apart from those of the tested code.
    pub async fn connection(&self) -> MultiplexedConnection {
        self.try_connection().await.expect("the server runs")
    }

    /// Runs one command.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.connection().await).await.expect("the server does what a test asks")
    }

    /// Deletes every key.
    pub async fn flush_all(&self) {
        self.run::<()>(&redis::cmd("FLUSHALL")).await;
    }

    /// Returns the number of calls of `command` (lower case) since the server started, by its own count.
    pub async fn calls(&self, command: &str) -> u64 {
        let told: String = self.run(redis::cmd("INFO").arg("commandstats")).await;
        let line = format!("cmdstat_{command}:calls=");
        let count = told.lines().find_map(|stat| stat.strip_prefix(&line)?.split(',').next()?.parse().ok());
        count.unwrap_or(0)
    }

    /// Saves the server's data into a separate file, and returns its path.
    pub async fn save(&self, name: &str) -> PathBuf {
        self.run::<()>(&redis::cmd("SAVE")).await;
        let copy = self.folder.path().join(name);
        std::fs::copy(self.dump(), &copy).expect("SAVE has written the dump");
        copy
    }

    /// Kills the server as `kill -9` does: nothing is saved, and connections break.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("our child may be killed");
            process.wait().expect("our child can be waited for");
        }
    }

    /// Kills the server and starts it with the last saved data, or empty.
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

    /// Starts the process and waits until it answers. Returns false if the process ended instead.
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

    /// Connects and sends a command, because a server that loads its data accepts connections before it
    /// serves. The command also checks that this server answers, and not another one that took the port.
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
