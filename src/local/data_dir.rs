//! `DataDir` is the data folder of `warmup local`. It stores durable files, permits one start at a time, and
//! shows other commands the running servers.
//!
//! ```text
//!   lock           held while a `warmup local` runs on the folder; names its process
//!   master.key     created once; without it no stored password can be opened; `rotation.rs` replaces it
//!   settings.env   settings that were saved here; environment variables override them
//!   running.json   the addresses of the servers, from their start to their stop
//!   postgres/      the cluster, its password, its log
//!   redis/         nothing durable
//! ```
//!
//! The kernel releases the lock when its process ends, however it ends. So a held lock means a living process,
//! and a `running.json` beside a free lock is a leftover of a killed one.

mod file;
mod key;
mod lock;
mod rotation;
mod running;
mod saved;

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

pub use self::{
    key::{FoundKey, read_key},
    rotation::{discard_key, install_key, kept_keys, prepare_key, prepared_key},
    running::{RunningServers, find},
    saved::{save_settings, settings_file, with_saved},
};
use super::advice::advice;

/// The least free disk space. A fresh cluster takes 60 MB, its write-ahead log may grow, and a full disk stops
/// everything.
const LEAST_ROOM_MB: u64 = 200;

/// The reasons why the data folder can't be used. Each message says what to do.
#[derive(Debug, Error)]
pub enum HomeError {
    #[error("{}: {doing}: {source}; {}", path.display(), advice(source))]
    Folder { path: PathBuf, doing: &'static str, source: io::Error },
    #[error(
        "{} belongs to user {owner}, and this is user {user}: run as that user, or choose another folder by \
         WARMUP_DATA_DIR or `warmup local --data DIR`",
        path.display()
    )]
    Owner { path: PathBuf, owner: u32, user: u32 },
    #[error(
        "the disk of {} has {free_mb} MB left, and at least {LEAST_ROOM_MB} are needed: make room, or choose a folder \
         on another disk by WARMUP_DATA_DIR or `warmup local --data DIR`",
        path.display()
    )]
    NoRoom { path: PathBuf, free_mb: u64 },
    #[error(
        "a `warmup local` is running on {} already, as process {pid}: look at it with `warmup status`, or stop it with \
         `kill {pid}`",
        path.display()
    )]
    Taken { path: PathBuf, pid: String },
    #[error("{} can be read by others than its owner (mode {mode:o}): chmod 600 {}", path.display(), path.display())]
    KeyExposed { path: PathBuf, mode: u32 },
    #[error("{} holds no key: 32 bytes in base64; put it back from your copy", path.display())]
    KeyDamaged { path: PathBuf },
    #[error(
        "{} is not there, and the passwords stored beside it can't be opened without it: put it back from your copy, or \
         set WARMUP_MASTER_KEY if it was used to enrol them",
        path.display()
    )]
    KeyMissing { path: PathBuf },
    #[error(
        "DATABASE_URL is not set, and no `warmup local` is running on {}: start it, or set DATABASE_URL",
        path.display()
    )]
    NotRunning { path: PathBuf },
    #[error("the `warmup local` on {} is just starting or stopping: try again in a moment", path.display())]
    NotReady { path: PathBuf },
}

/// Returns a function that wraps an I/O error of an operation (`doing`) on `path`.
fn fault(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> HomeError {
    move |source| HomeError::Folder { path: path.to_owned(), doing, source }
}

/// A `DataDir` is a locked data folder. The lock ends when it is dropped or when this process ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the folder if it does not exist, and takes its lock.
    ///
    /// Returns `Taken` with the process id of the holder if another process has the lock, and another error if
    /// the folder can't be used.
    pub async fn open(path: &Path) -> Result<DataDir, HomeError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fault(path, "creating it"))?;
        // The canonical path is the same through any link. Leftover servers are recognized by it.
        let path = fs::canonicalize(path).map_err(fault(path, "finding it"))?;
        check_owner(&path)?;
        let disk = rustix::fs::statvfs(&path).map_err(|error| fault(&path, "asking for room")(error.into()))?;
        check_room(&path, disk.f_bavail.saturating_mul(disk.f_frsize) / 1_000_000)?;
        let lock = lock::take(&path).await?;
        running::withdraw(&path);
        Ok(DataDir { path, _lock: lock })
    }

    /// Returns the canonical path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the folder has never stored data.
    pub fn is_new(&self) -> bool {
        !self.path.join("postgres/data").exists()
    }

    /// Returns the master key of this folder. A new folder gets a new key.
    ///
    /// Returns `KeyMissing` if there is data without a key: a new key would open none of it.
    pub fn master_key(&self) -> Result<FoundKey, HomeError> {
        key::read_or_make(&self.path, self.is_new())
    }

    /// Publishes the addresses of the servers to other commands of this user.
    pub fn announce(&self, running: &RunningServers) -> Result<(), HomeError> {
        running::announce(&self.path, running)
    }

    /// Withdraws the addresses, because the servers are about to stop.
    pub fn withdraw(&self) {
        running::withdraw(&self.path);
    }
}

/// Rejects a folder of another user, whose owner could not use files that we create. Root checks the user of its
/// servers instead.
fn check_owner(path: &Path) -> Result<(), HomeError> {
    let user = rustix::process::geteuid();
    let owner = fs::metadata(path).map_err(fault(path, "looking at it"))?.uid();
    if user.is_root() || user.as_raw() == owner {
        return Ok(());
    }
    Err(HomeError::Owner { path: path.to_owned(), owner, user: user.as_raw() })
}

fn check_room(path: &Path, free_mb: u64) -> Result<(), HomeError> {
    if free_mb >= LEAST_ROOM_MB {
        return Ok(());
    }
    Err(HomeError::NoRoom { path: path.to_owned(), free_mb })
}

#[cfg(test)]
mod tests;
