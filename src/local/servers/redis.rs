//! `PrivateRedis` runs a private Redis without persistence: all durable data is in Postgres.

use std::{fmt, path::Path, process::ExitStatus, time::Duration};

use super::{
    ServerError, binaries,
    folder::{Folder, fault},
    free_port,
    guard::{Plan, ServerProcess},
};

/// A `PrivateRedis` is a running server, empty unless its folder contained a `dump.rdb`.
pub struct PrivateRedis {
    /// The process; `None` between `halt` and `start_again`.
    server: Option<ServerProcess>,
    port: u16,
    password: String,
    /// The folder. It is dropped after the server, because it may be removed with it.
    folder: Folder,
}

const NAME: &str = "Redis";
/// The file with the process id, by which the next start finds a server that was never stopped.
pub(super) const PID_FILE: &str = "pid";
const PORT_ATTEMPTS: u32 = 5;
const READY_WITHIN: Duration = Duration::from_secs(20);
const STOP_WITHIN: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(5);

impl PrivateRedis {
    /// Starts Redis in `dir/redis`, without persistence.
    ///
    /// Returns `Missing` with the commands to install it, and `Failed` with the end of its log if it does not
    /// start.
    pub async fn start(dir: &Path) -> Result<PrivateRedis, ServerError> {
        Self::start_in(Folder::within(dir, "redis")?).await
    }

    /// Starts Redis in a temporary folder that is removed with it.
    pub async fn temporary() -> Result<PrivateRedis, ServerError> {
        Self::start_in(Folder::temporary("redis")?).await
    }

    async fn start_in(folder: Folder) -> Result<PrivateRedis, ServerError> {
        let password = folder.password()?;
        let mut redis = PrivateRedis { server: None, port: 0, password, folder };
        for attempt in 1.. {
            redis.port = free_port().map_err(fault(&redis.folder.path, "finding a free port"))?;
            match redis.launch().await {
                Ok(()) => return Ok(redis),
                Err(ServerError::Failed { log, .. })
                    if attempt < PORT_ATTEMPTS && log.contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the loop returns at its last attempt")
    }

    /// Returns `redis://:<password>@127.0.0.1:<port>`. The URL holds the password: do not log it.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}", self.password, self.port)
    }

    /// Returns the folder in which Redis looks for a `dump.rdb` at its start, and writes one on `SAVE`.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// Stops Redis and returns when it has ended. Dropping stops it too, and blocks.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Returns the exit status of Redis, if it ended without a stop.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.server.as_mut()?.ended()
    }

    /// Kills Redis like an outage: its data is lost, and its port does not answer.
    pub async fn halt(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
    }

    /// Restarts a halted Redis at the same address, empty unless its folder contains a `dump.rdb`.
    pub async fn start_again(&mut self) -> Result<(), ServerError> {
        self.halt().await;
        self.launch().await
    }

    async fn launch(&mut self) -> Result<(), ServerError> {
        let program = binaries::redis()?;
        let config = format!(
            "port {}\nbind 127.0.0.1\nrequirepass {}\nsave \"\"\nappendonly no\ndir \"{folder}\"\n\
             pidfile \"{folder}/{PID_FILE}\"\n",
            self.port,
            self.password,
            folder = self.folder.path.display()
        );
        let config = self.folder.write("redis.conf", &config)?;
        let mut server = ServerProcess::start(Plan {
            name: NAME,
            program: &program,
            args: vec![config.into()],
            servant: &self.folder.servant,
            log: self.folder.path.join("log"),
            stop: "TERM",
            patience: STOP_WITHIN,
            swept: self.folder.swept(),
        })?;
        ready(&mut server, &self.url()).await?;
        self.server = Some(server);
        Ok(())
    }
}

impl fmt::Debug for PrivateRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateRedis").field("port", &self.port).field("server", &self.server).finish_non_exhaustive()
    }
}

async fn ready(server: &mut ServerProcess, url: &str) -> Result<(), ServerError> {
    let answered = tokio::time::timeout(READY_WITHIN, async {
        loop {
            if let Some(status) = server.ended() {
                return Err(server.failed(format!("ended while it started ({status})")));
            }
            if ping(url).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    });
    answered.await.unwrap_or_else(|_| Err(server.failed(format!("did not answer within {} s", READY_WITHIN.as_secs()))))
}

async fn ping(url: &str) -> redis::RedisResult<()> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    redis::cmd("PING").query_async(&mut connection).await
}

#[cfg(test)]
mod tests;
