//! The data folder of `warmup local`: what must last, one start at a time, and how other commands find what runs.
//!
//! ```text
//!   lock           held while a `warmup local` runs on the folder; names its process
//!   master.key     made once; without it no stored password can be opened; `rotation.rs` replaces it
//!   settings.env   settings that were saved here; the environment goes before them
//!   running.json   the addresses of the servers, from their start to their stop
//!   postgres/      the cluster, its password, its log
//!   redis/         nothing that must last
//! ```
//!
//! The kernel gives the lock back when its process ends, however it ends; so a lock that is held means a process that
//! lives, and a `running.json` beside a free lock is what a killed one left.

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

/// A fresh cluster takes 60 MB, its write-ahead log may grow, and a disk that runs full stops everything.
const LEAST_ROOM_MB: u64 = 200;

/// Why the data folder can't be used. Each says what to do.
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

/// Makes an error of what failed while `doing` something to `path`.
fn fault(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> HomeError {
    move |source| HomeError::Folder { path: path.to_owned(), doing, source }
}

/// A data folder that is ours until this is dropped, or this process ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder where it is not there yet, and takes its lock.
    ///
    /// Returns `Taken` with the other's process id when somebody else has it, and another error when it can't be used.
    pub async fn open(path: &Path) -> Result<DataDir, HomeError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fault(path, "creating it"))?;
        // One path for one folder, by whatever links it is reached: orphans are known by it.
        let path = fs::canonicalize(path).map_err(fault(path, "finding it"))?;
        check_owner(&path)?;
        let disk = rustix::fs::statvfs(&path).map_err(|error| fault(&path, "asking for room")(error.into()))?;
        check_room(&path, disk.f_bavail.saturating_mul(disk.f_frsize) / 1_000_000)?;
        let lock = lock::take(&path).await?;
        running::withdraw(&path);
        Ok(DataDir { path, _lock: lock })
    }

    /// Its real path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says whether nothing was ever stored here.
    pub fn is_new(&self) -> bool {
        !self.path.join("postgres/data").exists()
    }

    /// Returns the master key of this folder, making it with the folder.
    ///
    /// Returns `KeyMissing` when there is data already and no key: a new one would open none of it.
    pub fn master_key(&self) -> Result<FoundKey, HomeError> {
        key::read_or_make(&self.path, self.is_new())
    }

    /// Tells other commands of this user where the servers are.
    pub fn announce(&self, running: &RunningServers) -> Result<(), HomeError> {
        running::announce(&self.path, running)
    }

    /// Takes that back: the servers are about to stop.
    pub fn withdraw(&self) {
        running::withdraw(&self.path);
    }
}

/// Others' folders are not for us: what we make there would not be theirs. Root checks what its servers run as instead.
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
