//! Ends what a run left that was killed together with its watchers, and that would be in the next start's way.
//!
//! A process id in a file is only a number: after a reboot, and in a container quickly, it is somebody else's. So a
//! process counts as the server only if it works in the server's own folder. Where it does not, Postgres could not tell
//! a stranger of the same user from a postmaster and would refuse to start: then the file goes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{ServerError, folder::fault, redis};
use crate::local::data_dir::DataDir;

/// How often a server that was asked to stop is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ways to ask, and how long to wait for each: first the one with a checkpoint.
type Ways = &'static [(Signal, Duration)];
const POSTGRES: Ways = &[
    (Signal::INT, Duration::from_secs(60)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(10)),
];
const REDIS: Ways = &[(Signal::TERM, Duration::from_secs(5)), (Signal::KILL, Duration::from_secs(10))];

/// Ends the servers that an earlier run left in `home`. Whoever has the home has its lock, so none of them is in use.
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

/// Ends the process, if it works in `folder`; one that outlives even SIGKILL is left to the server's own complaint.
async fn end(pid: Pid, folder: &Path, ways: Ways, name: &str) {
    for (signal, patience) in ways {
        if !works_in(pid, folder) {
            return;
        }
        tracing::warn!(pid = pid.as_raw_nonzero(), ?signal, "{name} of a run that was killed still runs: ending it");
        // It may have ended by itself just now.
        let _ = kill_process(pid, *signal);
        let gone = async {
            while works_in(pid, folder) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(*patience, gone).await;
    }
}

/// The first line of Postgres's file, all of Redis's.
fn pid_in(file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(file).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    // No process of ours is the first one, and a number below would mean a group.
    if pid > 1 { Pid::from_raw(pid) } else { None }
}

fn works_in(pid: Pid, folder: &Path) -> bool {
    let pid = pid.as_raw_nonzero();
    if Path::new("/proc/self/cwd").exists() {
        // Of a dead one that nobody reaped, the link is gone.
        return fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd: PathBuf| cwd == folder);
    }
    // Elsewhere by its arguments, which name the folder.
    let told = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output();
    told.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains(&*folder.to_string_lossy()))
}
