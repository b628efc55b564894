//! `stop_leftovers` ends the servers of a run that was killed together with its watchers; they would block the
//! next start.
//!
//! A process id in a file is only a number: after a reboot, and soon in a container, it may belong to another
//! process. So a process counts as the server only if it works in the server's own folder. If it does not, the
//! file is removed: Postgres would take any process of its user for a postmaster and refuse to start.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{ServerError, folder::fault, redis};
use crate::local::data_dir::DataDir;

/// The time between two checks whether a stopping server has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The signals to send and the wait after each. The first one lets Postgres write a checkpoint.
type Ways = &'static [(Signal, Duration)];
const POSTGRES: Ways = &[
    (Signal::INT, Duration::from_secs(60)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(10)),
];
const REDIS: Ways = &[(Signal::TERM, Duration::from_secs(5)), (Signal::KILL, Duration::from_secs(10))];

/// Ends the servers that an earlier run left in `home`. The caller holds the lock of `home`, so none of them is
/// in use.
pub async fn stop_leftovers(home: &DataDir) -> Result<(), ServerError> {
    let data = home.path().join("postgres/data");
    let file = data.join("postmaster.pid");
    if let Some(pid) = pid_in(&file) {
        end(pid, &data, POSTGRES, "Postgres").await;
        if test_kill_process(pid).is_ok() && !works_in(pid, &data) && file.exists() {
            fs::remove_file(&file).map_err(fault(&file, "removing what a killed start left"))?;
        }
    }
    let folder = home.path().join("redis");
    if let Some(pid) = pid_in(&folder.join(redis::PID_FILE)) {
        end(pid, &folder, REDIS, "Redis").await;
    }
    Ok(())
}

/// Ends the process if it works in `folder`. If it survives even SIGKILL, the start of the new server reports
/// the conflict.
async fn end(pid: Pid, folder: &Path, ways: Ways, name: &str) {
    for (signal, patience) in ways {
        if !works_in(pid, folder) {
            return;
        }
        tracing::warn!(pid = pid.as_raw_nonzero(), ?signal, "{name} of a run that was killed still runs: ending it");
        // The process may have ended meanwhile.
        let _ = kill_process(pid, *signal);
        let gone = async {
            while works_in(pid, folder) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(*patience, gone).await;
    }
}

/// Returns the process id in a file: the first line of Postgres's file, all of Redis's.
fn pid_in(file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(file).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    // Process 1 is never ours, and a number below it would mean a process group.
    if pid > 1 { Pid::from_raw(pid) } else { None }
}

fn works_in(pid: Pid, folder: &Path) -> bool {
    let pid = pid.as_raw_nonzero();
    if Path::new("/proc/self/cwd").exists() {
        // A dead process that is not reaped has no link.
        return fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd: PathBuf| cwd == folder);
    }
    // Other systems have no /proc: there the arguments of the process name the folder.
    let told = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output();
    told.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains(&*folder.to_string_lossy()))
}
