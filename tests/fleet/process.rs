//! The real binary, started, listened to, and killed.

use std::{process::Stdio, time::Duration};

use chrono::{Timelike, Utc};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::watch,
};
use warmup_support::{
    process::NOTHING_WAITS,
    world::{TestDatabase, TestRedis, enrolled_long_ago},
};

/// Longer than any worker here takes to say what it must say: a test that waits fails instead of hanging.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// Settings under which everything is due at once and nothing waits.
#[derive(Clone)]
pub struct Fleet {
    /// The binary of everything that is started from now on.
    pub program: String,
    vars: Vec<(&'static str, String)>,
}

impl Fleet {
    /// Migrates and enrols by the commands that an operator has. The workers reach the database at `worker_database`.
    pub async fn enrol(
        database: &TestDatabase,
        worker_database: &str,
        redis: &TestRedis,
        smtp: u16,
        mailboxes: usize,
        quota: usize,
        overrides: &[(&'static str, &str)],
    ) -> Fleet {
        let zone = late_zone();
        let mut csv = String::from(
            "email,password,smtp_host,smtp_port,smtp_security,timezone,window,ramp_start,daily_max,display_name\n",
        );
        for n in 0..mailboxes {
            csv +=
                &format!("box{n}@kill.test,secret,127.0.0.1,{smtp},none,{zone},00:00-24:00,{quota},{quota},Box {n}\n");
        }
        let mut fleet = Fleet::with(database.url(), redis, &csv, overrides).await;
        fleet.set("DATABASE_URL", worker_database);
        fleet
    }

    /// The same for mailboxes of the test's own.
    pub async fn with(database_url: &str, redis: &TestRedis, csv: &str, overrides: &[(&'static str, &str)]) -> Fleet {
        Fleet::of(env!("CARGO_BIN_EXE_warmup"), database_url, redis, csv, overrides).await
    }

    /// The same by another binary than this release's.
    pub async fn of(
        program: &str,
        database_url: &str,
        redis: &TestRedis,
        csv: &str,
        overrides: &[(&'static str, &str)],
    ) -> Fleet {
        let mut fleet = Fleet { program: program.to_owned(), vars: vars(database_url, &redis.url()) };
        overrides.iter().for_each(|(name, value)| fleet.set(name, value));
        fleet.command(&["migrate"], "").await;
        fleet.command(&["mailbox", "import", "-"], csv).await;
        enrolled_long_ago(database_url).await;
        fleet
    }

    /// Starts a worker.
    pub fn start(&self) -> Running {
        self.start_as(&["run"])
    }

    /// The same with further arguments.
    pub fn start_as(&self, args: &[&str]) -> Running {
        let mut child = self.binary(args).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (heard, said) = watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.send_modify(|all| {
                    all.push_str(&line);
                    all.push('\n');
                });
            }
        });
        Running { child, said }
    }

    /// Runs a command of the operator's and returns whether it succeeded, and all that it said.
    pub async fn order(&self, args: &[&str]) -> (bool, String) {
        let output = self.binary(args).stdin(Stdio::null()).output().await.unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        (output.status.success(), said.concat())
    }

    /// Sets what the environment of everything started from now on says.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.vars.retain(|(known, _)| *known != name);
        self.vars.push((name, value.to_owned()));
    }

    /// Runs a command, which must end well, and returns what it printed.
    pub async fn command(&self, args: &[&str], input: &str) -> String {
        let mut child =
            self.binary(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn binary(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).env_clear().envs(self.vars.iter().map(|(name, value)| (*name, value))).kill_on_drop(true);
        command
    }
}

fn vars(database: &str, redis: &str) -> Vec<(&'static str, String)> {
    [
        ("DATABASE_URL", database),
        ("REDIS_URL", redis),
        ("WARMUP_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("WARMUP_ALLOW_PLAINTEXT", "true"),
        ("WARMUP_ALLOW_PRIVATE_HOSTS", "true"),
        ("WARMUP_HTTP_ADDR", "127.0.0.1:0"),
        // More mailboxes than twenty kills can leave in flight, so that nobody waits for a sweep.
        ("WARMUP_MAILBOX_COOLDOWN_MIN_MS", "2000"),
        ("WARMUP_MAILBOX_COOLDOWN_MAX_MS", "2000"),
        ("WARMUP_SMTP_TIMEOUT_MS", "1500"),
        ("WARMUP_DRAIN_TIMEOUT_MS", "2400"),
    ]
    .into_iter()
    .chain(NOTHING_WAITS)
    .map(|(name, value)| (name, value.to_owned()))
    .collect()
}

/// A zone where it is past 22:00 now: all of a day's quota is due, and the day is not over.
pub fn late_zone() -> String {
    zone_at(22)
}

/// Returns a zone in which it is between `hour` and the next hour now.
#[expect(clippy::disallowed_methods, reason = "the binary under test runs on the real clock")]
pub fn zone_at(hour: i32) -> String {
    let ahead = hour - Utc::now().hour() as i32;
    let ahead = if ahead > 14 { ahead - 24 } else { ahead };
    // The sign of these names is the wrong way round, by POSIX.
    format!("Etc/GMT{}{}", if ahead > 0 { '-' } else { '+' }, ahead.abs())
}

/// A running worker. Dropping it kills it.
pub struct Running {
    child: Child,
    said: watch::Receiver<String>,
}

impl Running {
    /// Waits until its log holds `words`.
    pub async fn says(&self, words: &str) {
        let mut said = self.said.clone();
        let heard = tokio::time::timeout(LONGEST_SILENCE, said.wait_for(|all| all.contains(words))).await;
        if !matches!(heard, Ok(Ok(_))) {
            panic!("the worker did not say `{words}`: {}", *self.said.borrow());
        }
    }

    /// The end that it takes by itself: its exit code, and all that it said.
    pub async fn ended(mut self) -> (Option<i32>, String) {
        let ended = tokio::time::timeout(LONGEST_SILENCE, self.child.wait()).await;
        let code = ended.expect("the worker ends by itself").unwrap().code();
        // Its last words may still be on their way through the pipe; the sender goes when the pipe is at its end.
        while self.said.changed().await.is_ok() {}
        (code, self.said.borrow().clone())
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Returns where it answers HTTP: its log names the address, once it is up.
    pub fn address(&self) -> String {
        let said = self.said();
        let (_, rest) = said.split_once("address=").expect("a running worker has logged its address");
        rest.split_whitespace().next().expect("the address follows").to_owned()
    }

    /// SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and the end it takes by itself.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        let status = ended.expect("a worker ends within its deadline").unwrap();
        assert!(status.success(), "{status}: {}", *self.said.borrow());
    }
}
