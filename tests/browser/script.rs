//! A script of tests/browser as a process of node, which says where it is and waits to be told to go on.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// Far longer than any script takes on a busy machine: one that hangs fails.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Script {
    child: Child,
    input: ChildStdin,
    moments: Lines<BufReader<ChildStdout>>,
}

/// Where scripts lay their screenshots.
pub fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// Runs node to its end, which must be a good one.
pub async fn node(arguments: &[&str]) {
    let output = command().args(arguments).output().await.expect("node is installed: scripts/setup.sh test-all");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "node {arguments:?}:\n{said}");
}

fn command() -> Command {
    let mut command = Command::new("node");
    command
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Script {
    /// Starts `name`.mjs with these in its environment.
    pub fn start(name: &str, vars: &[(&str, &str)]) -> Script {
        let modules = folder().join("node_modules/playwright-core");
        assert!(modules.exists(), "playwright-core is not there: scripts/setup.sh test-all installs it");
        let mut command = command();
        command.arg(format!("{name}.mjs")).envs(vars.iter().copied()).env("SCREENSHOTS", screenshots());
        let mut child = command.spawn().expect("node is installed: scripts/setup.sh test-all");
        let input = child.stdin.take().expect("it is piped");
        let moments = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Script { child, input, moments }
    }

    /// Waits until it has come to this moment; it waits there for `go_on`.
    pub async fn comes_to(&mut self, moment: &str) {
        let line = timeout(PATIENCE, self.moments.next_line()).await.expect("a script does not hang").unwrap();
        if line.as_deref() != Some(moment) {
            panic!("instead of coming to `{moment}` it said {line:?}:\n{}", self.complaint().await);
        }
    }

    pub async fn go_on(&mut self) {
        self.go_on_with("").await;
    }

    /// Lets it go on, and tells it a line of text with that.
    pub async fn go_on_with(&mut self, text: &str) {
        // One that has ended is asked about at its next moment.
        let _ = self.input.write_all(format!("{text}\n").as_bytes()).await;
    }

    /// Waits for its end, which must be a good one.
    pub async fn ends_well(mut self) {
        let line = timeout(PATIENCE, self.moments.next_line()).await.expect("a script does not hang").unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.expect("a script ends").unwrap();
        assert!(status.success() && line.is_none(), "{status}, {line:?}:\n{}", self.complaint().await);
    }

    async fn complaint(&mut self) -> String {
        let mut said = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            let _ = timeout(Duration::from_secs(10), errors.read_to_string(&mut said)).await;
        }
        said
    }
}
