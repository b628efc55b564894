//! Where the dashboard is: told to whoever starts it, with a token only where a person reads it.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::Stdio,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

use super::place::Place;

/// Starts a command whose standard output is a terminal, and returns the line there that begins with `word`.
async fn line_on_a_terminal(mut command: Command, word: &'static str) -> (Child, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let child = command.stdout(theirs).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let lines = BufReader::new(File::from(ours)).lines();
    let found = move || lines.map_while(Result::ok).find(|line| line.starts_with(word));
    let line = tokio::task::spawn_blocking(found).await.unwrap().expect("it tells this line before it ends");
    (child, line)
}

/// What /api/warmup/me answers there to this token.
async fn me(http: &str, token: &str) -> String {
    let mut stream = TcpStream::connect(http).await.unwrap();
    let head = "GET /api/warmup/me HTTP/1.1\r\nHost: local\r\nConnection: close\r\n";
    stream.write_all(format!("{head}Authorization: Bearer {token}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_told_on_a_terminal_alone_and_stored_nowhere() {
    let place = Place::new();
    let piped = place.up(&[]).await;
    piped.says("dashboard  http://127.0.0.1:").await;
    assert!(!piped.said().contains("token="), "{}", piped.said());
    piped.stop().await;

    let (mut child, line) = line_on_a_terminal(place.command(&["local"]), "dashboard").await;
    let (http, token) = line.trim_end().split_once("/#token=").unwrap_or_else(|| panic!("{line}"));
    let http = http.strip_prefix("dashboard  http://").unwrap();
    assert!(me(http, token).await.contains(r#""isAdmin":true"#), "{line}");
    assert!(me(http, "warmup_another").await.starts_with("HTTP/1.1 401"));
    assert_eq!(place.json(&["token", "list", "--json"]).await, serde_json::json!([]));

    kill_process(Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert!(child.wait().await.unwrap().success());
}
