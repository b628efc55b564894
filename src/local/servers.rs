//! Private Postgres and Redis for local mode, the demo and the tests.
//!
//! Both run as children of this process, in a folder of their own, on free loopback ports and under a random password,
//! so that nothing of the machine's own servers is touched and ten of them run side by side. They end with us: on
//! `stop`, on drop, and, because a watcher stands between (`guard.rs`), also when this process is killed with
//! SIGKILL, which runs no destructor. What that can't survive is a SIGKILL of the watcher itself: in a folder that lasts
//! the next start ends what such a run left (`orphans.rs`).

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

/// Why a private server did not come up. Each says what to do.
#[derive(Debug, Error)]
pub enum ServerError {
    /// A program that has to be installed first.
    #[error("{name} is not installed ({program} was not found). {install}")]
    Missing { name: &'static str, program: &'static str, install: &'static str },
    /// The folder can't be made, written or entered.
    #[error("{}: {doing}: {source}; {}", path.display(), advice(source))]
    Folder { path: PathBuf, doing: &'static str, source: io::Error },
    /// A server does not run as root, and the user that it runs as can't get to its folder.
    #[error(
        "the user `{user}` may not enter {}, and a server that root starts runs as that user: choose a data folder \
         elsewhere, such as /var/lib/warmup",
        path.display()
    )]
    Closed { path: PathBuf, user: String },
    /// The cluster was made by another user, as whom this process can't run its server.
    #[error(
        "{} belongs to user {owner}, and Postgres would run as user {user}: start as the user who made it, or choose \
         another data folder (WARMUP_DATA_DIR, or `warmup local --data DIR`)",
        path.display()
    )]
    Owner { path: PathBuf, owner: u32, user: u32 },
    /// The cluster is another major version's, whose programs are not here.
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
    /// A server does not run as root, and there is nobody else.
    #[error(
        "Postgres does not run as root, and there is neither a user `postgres` nor `nobody`: start as another user"
    )]
    Nobody,
    /// The program ended, or did not answer in time. Its own last words say why.
    #[error("{name} {what}. The end of its log:\n{log}")]
    Failed { name: &'static str, what: String, log: String },
}

/// Returns a loopback port that was free a moment ago. Another process may take it first: whoever uses it tries again.
fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Returns 128 random bits as a password that needs no quoting anywhere.
fn random_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}
