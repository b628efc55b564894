//! This module runs private Postgres and Redis servers for local mode, the demo and the tests.
//!
//! Both are children of this process, in their own folder, on free loopback ports and with a random password. So
//! they do not touch the machine's own servers, and ten of them run side by side.
//!
//! They end with us: on `stop`, on drop, and also on SIGKILL, which runs no destructor. In that case a watcher
//! stops them (`guard.rs`). A SIGKILL of the watcher itself leaves them running. In a durable folder the next
//! start ends these leftovers (`leftovers.rs`).

mod binaries;
mod folder;
mod guard;
mod leftovers;
mod postgres;
mod redis;
mod restart;
mod run_as;

use std::{io, path::PathBuf};

pub use leftovers::stop_leftovers;
pub use postgres::{Durability, PrivatePostgres};
pub use redis::PrivateRedis;
pub use restart::restart_on_exit;
use thiserror::Error;

use super::advice::advice;

/// The reasons why a private server did not start. Each message says what to do.
#[derive(Debug, Error)]
pub enum ServerError {
    /// A required program is not installed.
    #[error("{name} is not installed ({program} was not found). {install}")]
    Missing { name: &'static str, program: &'static str, install: &'static str },
    /// The folder can't be created, written or entered.
    #[error("{}: {doing}: {source}; {}", path.display(), advice(source))]
    Folder { path: PathBuf, doing: &'static str, source: io::Error },
    /// A server does not run as root, and the user that runs it can't enter its folder.
    #[error(
        "the user `{user}` may not enter {}, and a server that root starts runs as that user: choose a data folder \
         elsewhere, such as /var/lib/warmup",
        path.display()
    )]
    Closed { path: PathBuf, user: String },
    /// The cluster belongs to another user, and this process can't run the server as that user.
    #[error(
        "{} belongs to user {owner}, and Postgres would run as user {user}: start as the user who made it, or choose \
         another data folder (WARMUP_DATA_DIR, or `warmup local --data DIR`)",
        path.display()
    )]
    Owner { path: PathBuf, owner: u32, user: u32 },
    /// The cluster needs another major version, whose programs are not installed.
    #[error(
        "the data in {} is of Postgres {found}, and installed is only Postgres {installed}, which can't read it. \
         Install Postgres {found} beside it (Debian, Ubuntu: sudo apt-get install postgresql-{found}; macOS: brew \
         install postgresql@{found}) and start again: it is found and used.\nTo move to Postgres {installed} after \
         that:\n  1. while `warmup local` runs: pg_dump --format=custom --file=warmup.dump URL   (databaseUrl in \
         running.json beside the data)\n  2. stop it, move {} away, keep master.key, uninstall Postgres {found}, and \
         start it again\n  3. pg_restore --clean --if-exists --single-transaction --dbname=URL warmup.dump   (the new \
         databaseUrl), and start it once more",
        path.display(),
        path.display()
    )]
    OtherVersion { path: PathBuf, found: String, installed: String },
    /// A server does not run as root, and no other user exists.
    #[error(
        "Postgres does not run as root, and there is neither a user `postgres` nor `nobody`: start as another user"
    )]
    Nobody,
    /// The program ended, or did not answer in time. The end of its log gives the reason.
    #[error("{name} {what}. The end of its log:\n{log}")]
    Failed { name: &'static str, what: String, log: String },
}

/// Returns a loopback port that is free now. Another process may take it first, so callers try again.
fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Returns 128 random bits as a password that needs no quoting.
fn random_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}
