//! `make fleet`: several workers with servers of their own on this machine, until they are told to stop.

use std::{path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use warmup_support::world::eventually;

use crate::local::place::{Place, UP, kill};

const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workers_share_until_ctrl_c_and_nothing_is_left() {
    let place = Place::new().with("WARMUP_SHARDS", "12");
    let mut fleet = place.start(&["local-fleet", "--workers", "3"]);
    fleet.says(UP).await;
    let workers = workers(&fleet.said());
    assert_eq!(workers.len(), 3, "{}", fleet.said());
    assert!(fleet.said().contains("dashboard  http://127.0.0.1:"), "{}", fleet.said());

    shared_by(&place, 3).await;
    let taken =
        async || std::fs::read_to_string(place.data().join("journal.jsonl")).is_ok_and(|mails| !mails.is_empty());
    eventually(PATIENCE, taken).await;
    kill(workers[0]);
    fleet.says("a worker has ended by itself").await;
    shared_by(&place, 2).await;

    kill_process(Pid::from_raw(fleet.pid()).unwrap(), Signal::INT).unwrap();
    let status = fleet.ended().await;
    let said = fleet.said();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!workers.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()), "{said}");
    place.is_deserted().await;
    // In order: the servers go last.
    let last_worker = said.rfind("stopped abandoned=0").unwrap();
    assert!(said.rfind("Redis and Postgres stopped").is_some_and(|at| at > last_worker), "{said}");
}

/// A parent that is killed can tell nobody: its workers notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_worker_outlives_its_parent() {
    let place = Place::new().with("WARMUP_SHARDS", "4");
    let mut fleet = place.start(&["local-fleet", "--workers", "2"]);
    fleet.says(UP).await;
    let workers = workers(&fleet.said());

    kill(fleet.pid());
    fleet.ended().await;

    eventually(PATIENCE, async || !workers.iter().any(|pid| is_running(*pid))).await;
    place.is_deserted().await;
}

/// The processes of the workers, as it tells them.
fn workers(said: &str) -> Vec<i32> {
    let lines = said.lines().filter(|line| line.starts_with("worker-"));
    lines.filter_map(|line| line.split_once("process ")?.1.split(',').next()?.parse().ok()).collect()
}

/// Waits until all shards are shared by so many workers.
async fn shared_by(place: &Place, workers: usize) {
    eventually(PATIENCE, async || {
        let status = place.json(&["status", "--json"]).await;
        let owners: Vec<i64> =
            status["shards"].as_array().unwrap().iter().map(|owner| owner["shards"].as_i64().unwrap()).collect();
        owners == vec![12 / workers as i64; workers]
    })
    .await;
}

/// One whose parent is gone may stay as an entry that nobody asks for.
fn is_running(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}
