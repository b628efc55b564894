use std::{io::BufRead, time::Duration};

use super::*;

/// Starts a server that prints its process id, and that ends only on its stop signal.
fn patient(folder: &Path) -> ServerProcess {
    ServerProcess::start(Plan {
        name: "sleep",
        program: Path::new("/bin/sleep"),
        args: vec!["1000".into()],
        servant: &RunAs::of_this_process().unwrap(),
        log: folder.join("log"),
        stop: "TERM",
        patience: Duration::from_secs(10),
        swept: None,
    })
    .unwrap()
}

fn lives(pid: u32) -> bool {
    let known = rustix::process::Pid::from_raw(pid as i32).unwrap();
    // Without an init that reaps orphans, as in some containers, a dead process stays as a zombie.
    let state = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    rustix::process::test_kill_process(known).is_ok() && !state.contains("State:\tZ")
}

async fn eventually_dead(pid: u32) {
    let dead = async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), dead).await.expect("the server should have ended");
}

#[tokio::test]
async fn a_dropped_server_is_gone_when_drop_returns() {
    let dir = tempfile::tempdir().unwrap();
    let server = patient(dir.path());
    let pid = server.pid();
    assert!(lives(pid));
    drop(server);
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_server_that_ended_by_itself_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = patient(dir.path());
    assert!(server.ended().is_none());
    let pid = rustix::process::Pid::from_raw(server.pid() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let noticed = async {
        while server.ended().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), noticed).await.unwrap();
}

/// Runs as the process that `a_server_ends_when_we_are_killed` starts and kills. It is not a test of its own.
#[tokio::test]
#[ignore = "the victim of a_server_ends_when_we_are_killed"]
async fn victim() {
    let dir = tempfile::tempdir().unwrap();
    let server = patient(dir.path());
    println!("\nserver {}", server.pid());
    // The victim ends with its parent if the parent dies first.
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[tokio::test]
async fn a_server_ends_when_we_are_killed() {
    let mut us = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "local::servers::guard::tests::victim", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(us.stdout.take().unwrap()).lines();
    let said = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("server ")?.parse().ok());
    let server: u32 = said.expect("the victim should say its server's process id");
    assert!(lives(server));
    us.kill().unwrap();
    us.wait().unwrap();
    eventually_dead(server).await;
}

#[test]
fn the_tail_is_the_end() {
    let log: Vec<String> = (0..40).map(|line| line.to_string()).collect();
    assert!(tail(&log.join("\n")).starts_with("  25\n"));
    assert!(tail(&log.join("\n")).ends_with("  39"));
    assert_eq!(tail(""), "");
}
