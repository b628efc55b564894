//! `--watch`: the same look again, by whoever looks on: a person, or a pipe.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use serde_json::Value;

use super::*;

fn watching(database: &TestDatabase, args: &[&str], out: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
    command.args(args).arg("--watch").env_clear().env("DATABASE_URL", database.url());
    command.env("WARMUP_MASTER_KEY", STANDARD.encode(KEY)).stdin(Stdio::null());
    command.stdout(out).spawn().unwrap()
}

fn interrupted(mut child: Child) -> ExitStatus {
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    child.wait().unwrap()
}

async fn two() -> TestDatabase {
    let database = database().await;
    import(database.pool(), &many(2)).await.unwrap();
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_watched_as_json_is_a_document_a_line_and_follows_the_fleet() {
    let database = two().await;
    let mut child = watching(&database, &["status", "--json"], Stdio::piped());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!((&next()["mailboxes"], &next()["off"]), (&2.into(), &0.into()));
    sqlx::query("UPDATE mailboxes SET enabled = false").execute(database.pool()).await.unwrap();
    // One look may have been under way.
    let seen = [next()["off"].clone(), next()["off"].clone()];
    assert_eq!(seen[1], 2, "{seen:?}");
    assert!(interrupted(child).success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_is_told_a_line_each_time() {
    let database = two().await;
    for (args, gist) in [
        (&["status"][..], "0 failing; 0 in flight"),
        (&["mailbox", "list"], "2 mailboxes, 2 active; 0 of "),
        (&["mailbox", "show", "m0@d0.example"], "m0@d0.example: active; 0 of "),
    ] {
        let mut child = watching(&database, args, Stdio::piped());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..2 {
            let line = lines.next().unwrap().unwrap();
            assert!(line.contains(" UTC  ") && line.contains(gist), "{args:?}: {line}");
        }
        assert!(interrupted(child).success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_nobody_reads_any_more_ends_it() {
    let database = two().await;
    let mut child = watching(&database, &["status"], Stdio::piped());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    drop(lines);
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_drawn_anew() {
    let database = two().await;
    let mut ours = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let child = watching(&database, &["mailbox", "list"], theirs.into());
    let (mut seen, mut bytes) = (String::new(), [0; 4096]);
    while seen.matches("Ctrl-C ends").count() < 2 {
        let read = ours.read(&mut bytes).unwrap_or(0);
        assert!(read > 0, "it ended: {seen}");
        seen += &String::from_utf8_lossy(&bytes[..read]);
    }
    assert_eq!(seen.matches("\x1b[H\x1b[J").count(), 2, "{seen}");
    assert!(seen.contains("m0@d0.example") && seen.contains("EMAIL"), "{seen}");
    assert!(interrupted(child).success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_looked_at_is_told_at_once() {
    let database = two().await;
    let mut child = watching(&database, &["mailbox", "show", "nobody@x.test"], Stdio::null());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
