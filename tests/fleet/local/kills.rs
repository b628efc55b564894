//! Processes are killed, some or all: what was committed is there at the next start, and nothing stands in its way.

use std::{fs, process::Stdio, time::Duration};

use tokio::process::Command;
use warmup_support::world::eventually;

use super::place::{Place, TWO, kill};

const PATIENCE: Duration = Duration::from_secs(60);

async fn with_two(place: &Place) -> super::place::Running {
    place.up(&["--import", &place.file("mailboxes.csv", TWO)]).await
}

async fn goes_on(place: &Place) -> String {
    let again = place.up(&[]).await;
    assert_eq!(place.enrolled().await, ["anna@one.test", "ben@two.test"]);
    let said = again.stop().await;
    place.is_deserted().await;
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_of_the_whole_process_tree_everything_is_there() {
    let place = Place::new();
    let mut local = with_two(&place).await;
    place.kill_all();
    kill(local.pid());
    local.ended().await;
    place.is_deserted().await;
    assert!(place.data().join("postgres/data/postmaster.pid").exists(), "it had no time to take its file away");
    let (code, told) = place.ran(&["mailbox", "list"]).await;
    assert!(code == Some(1) && told.contains("no `warmup local` is running on"), "{told}");
    goes_on(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_of_the_worker_alone_it_can_be_started_at_once() {
    let place = Place::new();
    let mut local = with_two(&place).await;
    kill(local.pid());
    local.ended().await;
    // Its watchers are just stopping the servers.
    goes_on(&place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_outlived_their_worker_and_their_watchers_are_ended_by_the_next_start() {
    let place = Place::new();
    let mut local = with_two(&place).await;
    let watchers: Vec<i32> = place.processes().into_iter().filter(|pid| is_shell(*pid)).collect();
    assert_eq!(watchers.len(), 2, "one for each server");
    watchers.into_iter().for_each(kill);
    kill(local.pid());
    local.ended().await;
    // The postmaster takes its watcher's death for a backend's crash: its other children are just starting again.
    eventually(PATIENCE, async || place.processes().len() > 2).await;
    let said = goes_on(&place).await;
    for name in ["Postgres", "Redis"] {
        assert!(said.contains(&format!("{name} of a run that was killed still runs")), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_has_the_dead_postmasters_id_now_stands_in_nobodys_way() {
    let place = Place::new();
    with_two(&place).await.stop().await;
    let mut stranger = Command::new("sleep").arg("1000").stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let data = place.data().join("postgres/data");
    let (directory, file) = (data.display(), data.join("postmaster.pid"));
    fs::write(&file, format!("{}\n{directory}\n1700000000\n5432\n\n127.0.0.1\n", stranger.id().unwrap())).unwrap();
    own_as(&file, &data);
    goes_on(&place).await;
    assert!(stranger.try_wait().unwrap().is_none(), "it is none of our business");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_under_the_worker_comes_back_by_itself() {
    let place = Place::new().with("WARMUP_LEASE_TTL_MS", 1500).with("WARMUP_HEARTBEAT_MS", 500);
    let local = with_two(&place).await;
    local.says("acquired shards").await;
    let data = place.data().join("postgres/data");
    let postmaster = fs::read_to_string(data.join("postmaster.pid")).unwrap();
    kill(postmaster.lines().next().unwrap().parse().unwrap());
    local.says("Postgres has ended by itself").await;
    let listed = async || place.ran(&["mailbox", "list"]).await.0 == Some(0);
    eventually(PATIENCE, listed).await;
    let redis = fs::read_to_string(place.data().join("redis/pid")).unwrap();
    kill(redis.trim().parse().unwrap());
    local.says("Redis has ended by itself").await;
    // Once at the start, and once with an empty Redis.
    let acquired = async || local.said().matches("acquired shards").count() > 1;
    eventually(PATIENCE, acquired).await;
    assert_eq!(place.enrolled().await, ["anna@one.test", "ben@two.test"]);
    local.stop().await;
    place.is_deserted().await;
}

fn is_shell(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|args| args.starts_with(b"/bin/sh\0"))
}

/// Gives `path` to the owner of `like`, as Postgres leaves its files.
fn own_as(path: &std::path::Path, like: &std::path::Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    let owner = fs::metadata(like).unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}
