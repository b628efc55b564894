//! This module locks a data folder, so that one `warmup local` runs in it.
//!
//! The lock is the kernel's, on an open file: it ends with the process that holds it. No child inherits it,
//! because Rust opens files as close-on-exec.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use super::{HomeError, fault};

const NAME: &str = "lock";

/// The number of attempts to take the lock. A command that only checks it holds it for a moment, so a start
/// tries again before it fails.
const ATTEMPTS: u32 = 20;
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// Takes the lock of `folder` and writes our process id into its file.
pub(super) async fn take(folder: &Path) -> Result<File, HomeError> {
    let path = folder.join(NAME);
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = options.map_err(fault(&path, "opening it"))?;
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => tokio::time::sleep(ASK_AGAIN).await,
            Err(TryLockError::WouldBlock) => {
                return Err(HomeError::Taken { path: folder.to_owned(), pid: holder(&path) });
            }
            Err(TryLockError::Error(error)) => return Err(fault(&path, "locking it")(error)),
        }
    }
    let named = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    named.map_err(fault(&path, "writing it"))?;
    Ok(file)
}

/// Returns whether a process holds the lock of `folder`.
pub(super) fn is_held(folder: &Path) -> Result<bool, HomeError> {
    let path = folder.join(NAME);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(fault(&path, "opening it")(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(fault(&path, "locking it")(error)),
    }
}

fn holder(path: &Path) -> String {
    let pid = fs::read_to_string(path).unwrap_or_default();
    if pid.is_empty() { "unknown".to_owned() } else { pid }
}
