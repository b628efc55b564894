//! `PrivatePostgres` runs a private Postgres: `initdb`, start, wait until it answers, create the database.

use std::{ffi::OsString, fmt, path::Path, process::ExitStatus, time::Duration};

use sqlx::{Connection, PgConnection};

use super::{
    ServerError, binaries,
    binaries::PostgresPrograms,
    folder::{Folder, fault},
    free_port,
    guard::{self, Plan, ServerProcess},
};

/// The loss that a crash of the machine may cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// No loss of committed data: Postgres's own defaults.
    Durable,
    /// Loss of everything: no fsync, no wait for the disk. For demo and tests.
    Throwaway,
}

/// A `PrivatePostgres` is a running server with the database `warmup` of the user `warmup`.
pub struct PrivatePostgres {
    url: String,
    port: u16,
    programs: PostgresPrograms,
    durability: Durability,
    /// The process; `None` between `halt` and `start_again`.
    server: Option<ServerProcess>,
    /// The folder. It is dropped after the server, because it may be removed with it.
    folder: Folder,
}

const NAME: &str = "Postgres";

/// The number of start attempts. Another process may take the port first, and the children of a killed
/// postmaster need a moment to release its memory.
const ATTEMPTS: u32 = 10;
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// The longest start: a durable folder may have to recover from a crash.
const READY_WITHIN: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// The longest stop: a fast shutdown writes a checkpoint, on whatever disk a laptop has.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// The longest folder path, in bytes, whose socket still fits `sockaddr_un` (104 bytes on macOS) with Postgres's
/// own file name.
const LONGEST_SOCKET_FOLDER: usize = 80;

/// Postgres's own defaults, which the command line repeats so that no file in the cluster can change them.
/// Checkpoints are not logged, because a log that is rarely read should not report every five minutes that all
/// is well.
const DURABLE: [&str; 4] = ["fsync=on", "synchronous_commit=on", "full_page_writes=on", "log_checkpoints=off"];

const THROWAWAY: [&str; 5] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"];

impl PrivatePostgres {
    /// Starts Postgres in `dir/postgres`, and creates the cluster and the database if they do not exist.
    ///
    /// Returns `Missing` with the commands to install it, and `Failed` with the end of its log if it does not
    /// start.
    pub async fn start(dir: &Path, durability: Durability) -> Result<PrivatePostgres, ServerError> {
        Self::start_in(Folder::within(dir, "postgres")?, durability).await
    }

    /// Starts a throw-away Postgres in a temporary folder that is removed with it.
    pub async fn temporary() -> Result<PrivatePostgres, ServerError> {
        Self::start_in(Folder::temporary("postgres")?, Durability::Throwaway).await
    }

    async fn start_in(folder: Folder, durability: Durability) -> Result<PrivatePostgres, ServerError> {
        folder.check_owner("data")?;
        let programs = binaries::postgres(&folder.path.join("data"))?;
        let password = folder.password()?;
        make_cluster(&programs, &folder, durability).await?;
        let mut postgres = PrivatePostgres { url: String::new(), port: 0, programs, durability, server: None, folder };
        let base = |port: u16| format!("postgres://warmup:{password}@127.0.0.1:{port}");
        for attempt in 1.. {
            postgres.port = free_port().map_err(fault(&postgres.folder.path, "finding a free port"))?;
            postgres.url = format!("{}/warmup", base(postgres.port));
            match postgres.launch().await {
                Ok(()) => return Ok(postgres),
                Err(error) if attempt < ATTEMPTS && passes(&error) => tokio::time::sleep(TRY_AGAIN).await,
                Err(error) => return Err(error),
            }
        }
        unreachable!("the loop returns at its last attempt")
    }

    /// Returns `postgres://warmup:<password>@127.0.0.1:<port>/warmup`. The URL holds the password: do not log
    /// it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the exit status of Postgres, if it ended without a stop.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.server.as_mut()?.ended()
    }

    /// Kills Postgres like an outage. Durable committed data is there again after `start_again`.
    pub async fn halt(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill().await;
        }
    }

    /// Restarts a halted or ended Postgres at the same address, with its data.
    pub async fn start_again(&mut self) -> Result<(), ServerError> {
        self.halt().await;
        for attempt in 1.. {
            match self.launch().await {
                Err(error) if attempt < ATTEMPTS && passes(&error) => tokio::time::sleep(TRY_AGAIN).await,
                done => return done,
            }
        }
        unreachable!("the loop returns at its last attempt")
    }

    /// Stops Postgres and returns when it has ended. Dropping stops it too, and blocks.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    async fn launch(&mut self) -> Result<(), ServerError> {
        let mut server = launch(&self.programs, &self.folder, self.durability, self.port)?;
        let (base, _) = self.url.rsplit_once('/').expect("the address ends in its database");
        ready(&mut server, base).await?;
        self.server = Some(server);
        Ok(())
    }
}

impl fmt::Debug for PrivatePostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivatePostgres").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Runs `initdb` in a temporary name and renames the complete cluster, so that an incomplete one is never
/// started.
async fn make_cluster(programs: &PostgresPrograms, folder: &Folder, durability: Durability) -> Result<(), ServerError> {
    let (data, unfinished) = (folder.path.join("data"), folder.path.join("data.unfinished"));
    if data.exists() {
        return Ok(());
    }
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(fault(&unfinished, "removing what an earlier start left"))?;
    }
    let mut args: Vec<OsString> = vec!["-D".into(), unfinished.clone().into(), "--pwfile".into()];
    args.push(folder.path.join("password").into());
    args.extend(["--username=warmup", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"].map(OsString::from));
    args.push(match durability {
        // Checksums detect a corrupting disk at the next read, before data is lost.
        Durability::Durable => "--data-checksums".into(),
        Durability::Throwaway => "--no-sync".into(),
    });
    let made = guard::run(&programs.initdb, &args, &folder.servant).await;
    made.map_err(fault(&programs.initdb, "running it"))?.map_err(|log| ServerError::Failed {
        name: NAME,
        what: "could not make its cluster".to_owned(),
        log,
    })?;
    std::fs::rename(&unfinished, &data).map_err(fault(&data, "moving the new cluster there"))
}

fn launch(
    programs: &PostgresPrograms,
    folder: &Folder,
    durability: Durability,
    port: u16,
) -> Result<ServerProcess, ServerError> {
    let path = folder.path.display().to_string();
    let socket = if path.len() <= LONGEST_SOCKET_FOLDER { path } else { String::new() };
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={socket}"),
        "max_connections=300".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
    ];
    if programs.counts_statements {
        settings.push("shared_preload_libraries=pg_stat_statements".to_owned());
    }
    match durability {
        Durability::Durable => settings.extend(DURABLE.map(str::to_owned)),
        Durability::Throwaway => settings.extend(THROWAWAY.map(str::to_owned)),
    }
    let mut args: Vec<OsString> = vec!["-D".into(), folder.path.join("data").into()];
    args.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
    ServerProcess::start(Plan {
        name: NAME,
        program: &programs.postgres,
        args,
        servant: &folder.servant,
        log: folder.path.join("log"),
        // `INT` is a fast shutdown with a checkpoint; `QUIT` is immediate, for throw-away data.
        stop: if durability == Durability::Durable { "INT" } else { "QUIT" },
        patience: STOP_WITHIN,
        swept: folder.swept(),
    })
}

/// Returns whether the log shows an error that another attempt may avoid.
fn passes(error: &ServerError) -> bool {
    let ServerError::Failed { log, .. } = error else { return false };
    ["could not bind", "pre-existing shared memory block"].iter().any(|passing| log.contains(passing))
}

/// Waits until the server answers, and creates the database at the first start.
async fn ready(server: &mut ServerProcess, base: &str) -> Result<(), ServerError> {
    let mut last = String::new();
    let answer = tokio::time::timeout(READY_WITHIN, async {
        loop {
            if let Some(status) = server.ended() {
                return Err(server.failed(format!("ended while it started ({status})")));
            }
            match PgConnection::connect(&format!("{base}/postgres")).await {
                Ok(connection) => return Ok(connection),
                // The server is still starting or recovering, or another process took the port and ours will
                // end.
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    });
    let mut connection = match answer.await {
        Ok(connected) => connected?,
        Err(_) => {
            return Err(server.failed(format!("did not answer within {} s ({last})", READY_WITHIN.as_secs())));
        }
    };
    match make_database(&mut connection).await {
        Ok(()) => Ok(()),
        Err(error) => Err(server.failed(format!("did not make the database `warmup`: {error}"))),
    }
}

async fn make_database(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let known =
        sqlx::query("SELECT FROM pg_database WHERE datname = 'warmup'").fetch_optional(&mut *connection).await?;
    if known.is_none() {
        sqlx::query("CREATE DATABASE warmup").execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
