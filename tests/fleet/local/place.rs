//! A place for one `warmup local`: an environment that holds a data folder and no server, and what runs there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};
use warmup_support::world::eventually;

/// Far more than anything here takes on a busy machine: a test that waits fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(90);

pub const TWO: &str = "email,password,smtp_host,smtp_port\n\
                       anna@one.test,secret-1,mail.one.test,465\n\
                       ben@two.test,secret-2,mail.two.test,587\n";

/// What it says last of its start.
pub const UP: &str = "Ctrl-C, or SIGTERM";

pub struct Place {
    dir: TempDir,
    vars: Vec<(String, String)>,
}

impl Place {
    pub fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        // The servers that root starts run as somebody with less, who must get through.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let place = Place { vars: Vec::new(), dir };
        let data = place.data().display().to_string();
        place.with("WARMUP_DATA_DIR", data).with("WARMUP_HTTP_ADDR", "127.0.0.1:0")
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Place {
        self.vars.retain(|(known, _)| known != name);
        self.vars.push((name.to_owned(), value.to_string()));
        self
    }

    /// The data folder. Nobody has made it yet.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A file beside the data folder, for all to read.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
        command.args(args).env_clear().envs(self.vars.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn ran(&self, args: &[&str]) -> (Option<i32>, String) {
        let ended = tokio::time::timeout(PATIENCE, self.command(args).output()).await;
        let Output { status, stdout, stderr } = ended.expect("a command ends").unwrap();
        (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }

    /// What a good command prints, as JSON.
    pub async fn json(&self, args: &[&str]) -> serde_json::Value {
        let (code, told) = self.ran(args).await;
        assert_eq!(code, Some(0), "{args:?}: {told}");
        serde_json::from_str(&told).unwrap()
    }

    /// The addresses that `warmup mailbox list` knows.
    pub async fn enrolled(&self) -> Vec<String> {
        let listed = self.json(&["mailbox", "list", "--json"]).await;
        listed.as_array().unwrap().iter().map(|mailbox| mailbox["email"].as_str().unwrap().to_owned()).collect()
    }

    pub fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// Starts `warmup local`, and returns when it is up.
    pub async fn up(&self, args: &[&str]) -> Running {
        let running = self.start(&[&["local"], args].concat());
        running.says(UP).await;
        running
    }

    /// Every process that works in the data folder, or was told of it.
    pub fn processes(&self) -> Vec<i32> {
        let here = self.data();
        let pids = fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
        pids.filter(|pid| is_of(*pid, &here)).collect()
    }

    /// Waits until no process of the place is left: a watcher looks ten times a second whether its server is gone.
    pub async fn is_deserted(&self) {
        eventually(PATIENCE, async || self.processes().is_empty()).await;
    }

    /// Kills every process of the place at once, as a machine that loses its power does.
    pub fn kill_all(&self) {
        for pid in self.processes() {
            kill(pid);
        }
    }
}

fn is_of(pid: i32, folder: &Path) -> bool {
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    cwd || String::from_utf8_lossy(&args).contains(&*folder.to_string_lossy())
}

pub fn kill(pid: i32) {
    // It may have ended already, because another one of these did.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

/// A running command. Dropping it kills it.
pub struct Running {
    child: Child,
    said: watch::Receiver<String>,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        let mut child = command.spawn().unwrap();
        let (heard, said) = watch::channel(String::new());
        tokio::spawn(hear(child.stdout.take().unwrap(), heard.clone()));
        tokio::spawn(hear(child.stderr.take().unwrap(), heard));
        Running { child, said }
    }

    /// Waits until it has said `words`.
    pub async fn says(&self, words: &str) {
        let mut said = self.said.clone();
        let heard = tokio::time::timeout(PATIENCE, said.wait_for(|all| all.contains(words))).await;
        assert!(matches!(heard, Ok(Ok(_))), "it did not say `{words}`: {}", self.said());
    }

    pub fn said(&self) -> String {
        self.said.borrow().clone()
    }

    pub fn pid(&self) -> i32 {
        self.child.id().expect("it has not been waited for") as i32
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it did not end: {}", self.said())).unwrap()
    }

    /// SIGTERM, and the end it takes by itself.
    pub async fn stop(mut self) -> String {
        kill_process(Pid::from_raw(self.pid()).unwrap(), Signal::TERM).unwrap();
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{}", self.said());
        self.said()
    }
}

async fn hear(stream: impl AsyncRead + Unpin, heard: watch::Sender<String>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        heard.send_modify(|all| {
            all.push_str(&line);
            all.push('\n');
        });
    }
}
