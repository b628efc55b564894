//! `RunningServers` stores the addresses of a running `warmup local` for commands in other terminals.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{HomeError, fault, file, lock};

const NAME: &str = "running.json";

/// `RunningServers` holds the addresses with their passwords. So the file belongs to its owner alone, and the
/// type has no `Debug`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningServers {
    pub pid: u32,
    pub database_url: String,
    pub redis_url: String,
}

/// Returns the servers of the `warmup local` on `folder`; `None` if the folder does not exist.
///
/// Returns `NotRunning` if it is stopped, and `NotReady` if it is starting or stopping and has no servers.
pub fn find(folder: &Path) -> Result<Option<RunningServers>, HomeError> {
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => {
            found.map_err(fault(folder, "looking at it"))?;
        }
    }
    if !lock::is_held(folder)? {
        return Err(HomeError::NotRunning { path: folder.to_owned() });
    }
    let path = folder.join(NAME);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(HomeError::NotReady { path: folder.to_owned() });
        }
        read => read.map_err(fault(&path, "reading it"))?,
    };
    let running = serde_json::from_str(&text).map_err(|error| fault(&path, "understanding it")(error.into()))?;
    Ok(Some(running))
}

pub(super) fn announce(folder: &Path, running: &RunningServers) -> Result<(), HomeError> {
    let text = serde_json::to_string_pretty(running).expect("strings and a number are JSON");
    file::write(folder, NAME, &text)
}

pub(super) fn withdraw(folder: &Path) {
    // If the file can't be removed it is stale, and the free lock shows that.
    let _ = fs::remove_file(folder.join(NAME));
}
