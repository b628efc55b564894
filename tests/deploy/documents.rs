//! What the pages tell an operator to type is typed: `sh` blocks run, one after the other, against real services; of those
//! marked `cluster`, for which there is no cluster here, the shell, Helm and the program itself read what concerns them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use warmup_support::{
    day::MASTER_KEY,
    world::{self, eventually},
};

use super::tools::{command, outcome, path, read, tool};

const BINARY: &str = env!("CARGO_BIN_EXE_warmup");
const PAGES: [&str; 2] = ["docs/DEPLOYMENT.md", "docs/RUNBOOK.md"];
/// How a page begins what is said to a pod.
const IN_A_POD: &str = "/usr/local/bin/warmup ";
const PATIENCE: Duration = Duration::from_secs(30);

const CSV: &str = "email,password,smtp_host,smtp_port\n\
                   anna@one.test,secret-1,mail.one.test,465\n\
                   ben@two.test,secret-2,mail.two.test,587\n";

/// The blocks of a page whose first line says `info`.
fn blocks(page: &str, info: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(said) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if said == info {
                found.push(block.join("\n") + "\n");
            }
        }
    }
    found
}

/// A folder as the repository looks to an operator in it, with the program on the path.
fn desk() -> TempDir {
    let desk = TempDir::new().unwrap();
    for folder in ["deploy", "k8s"] {
        symlink(path(folder), desk.path().join(folder)).unwrap();
    }
    fs::create_dir(desk.path().join("bin")).unwrap();
    symlink(BINARY, desk.path().join("bin/warmup")).unwrap();
    fs::write(desk.path().join("mailboxes.csv"), CSV).unwrap();
    desk
}

fn at(desk: &Path, program: &str) -> Command {
    let mut typed = command(program);
    let system = std::env::var("PATH").unwrap();
    typed.current_dir(desk).env_clear().env("PATH", format!("{}:{system}", desk.join("bin").display()));
    typed
}

fn shell(desk: &Path, options: &str, script: &str) -> Command {
    let mut bash = at(desk, "bash");
    bash.args(["-euo", "pipefail", options, script]);
    bash
}

#[tokio::test]
async fn what_the_pages_say_can_be_typed() {
    for page in PAGES {
        let desk = desk();
        let (database, redis) = tokio::join!(world::postgres(), world::redis());
        let with_services = |mut command: Command| {
            command.env("DATABASE_URL", database.url()).env("REDIS_URL", redis.url());
            command.env("WARMUP_MASTER_KEY", MASTER_KEY).env("WARMUP_HTTP_ADDR", "127.0.0.1:0");
            command
        };
        assert!(with_services(shell(desk.path(), "-c", "warmup migrate >migrated")).status().unwrap().success());
        let mut run = with_services(at(desk.path(), BINARY));
        let log = fs::File::create(desk.path().join("log")).unwrap();
        let mut worker = run.arg("run").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        // The runbook is opened beside a worker.
        eventually(PATIENCE, async || {
            let status = with_services(shell(desk.path(), "-c", "warmup fleet status | grep -q shards"));
            { status }.status().unwrap().success()
        })
        .await;
        let blocks = blocks(&read(page), "sh");
        assert!(blocks.len() >= 6, "{page}: {} blocks", blocks.len());
        for block in &blocks {
            let (well, out, said) = outcome(&mut with_services(shell(desk.path(), "-c", block)));
            assert!(well, "{page}:\n{block}\n{out}{said}");
        }
        println!("{page}: {} blocks ran", blocks.len());
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
}

/// Each command on a line of its own, without what the shell does for it.
fn commands(block: &str) -> Vec<String> {
    block.replace("\\\n", " ").lines().map(str::to_owned).collect()
}

/// Why the program or Helm would not take a line; nothing where it concerns neither.
fn faults(desk: &Path, line: &str) -> Option<String> {
    let words = |text: &str| -> Vec<String> {
        let typed = text.split(['<', '>', '|', '&', '#']).next().unwrap_or_default();
        typed.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
    };
    let (well, out, said) = if let Some((_, to_the_program)) = line.split_once(IN_A_POD) {
        // Help is given only where all before it is understood.
        outcome(at(desk, BINARY).args(words(to_the_program)).arg("--help"))
    } else if let Some(to_helm) = line.strip_prefix("helm upgrade --install ") {
        let args = words(to_helm).into_iter().filter(|word| word != "--reuse-values");
        outcome(tool("helm").current_dir(desk).arg("template").args(args))
    } else {
        return None;
    };
    (!well).then(|| format!("{line}\n{out}{said}"))
}

#[test]
fn what_the_pages_say_to_a_cluster_is_understood() {
    let desk = desk();
    let mut understood = 0;
    for page in PAGES {
        for block in blocks(&read(page), "sh cluster") {
            let (well, _, said) = outcome(&mut shell(desk.path(), "-nc", &block));
            assert!(well, "{page}: {block}{said}");
            for line in commands(&block) {
                understood += usize::from(line.contains(IN_A_POD) || line.starts_with("helm "));
                assert_eq!(faults(desk.path(), &line), None);
            }
        }
    }
    assert!(understood >= 10, "{understood} lines");
}

#[test]
fn a_line_that_nobody_would_take_is_found() {
    let desk = desk();
    for line in [
        "kubectl exec deploy/warmup -- /usr/local/bin/warmup stauts",
        "kubectl exec deploy/warmup -- /usr/local/bin/warmup status --jsno",
        "helm upgrade --install warmup k8s --set settings.WARMUP_SHRADS=3",
        "helm upgrade --install warmup k8s --values k8s/values-huge.yaml",
    ] {
        assert!(faults(desk.path(), line).is_some(), "{line}");
    }
    assert_eq!(faults(desk.path(), "kubectl get pods"), None);
}

#[test]
fn blocks_are_told_apart_by_what_they_say_first() {
    let page = "a\n```sh\none\ntwo\n```\nb\n```sh cluster\nthree\n```\n```yaml\nfour\n```\n";
    assert_eq!(blocks(page, "sh"), ["one\ntwo\n"]);
    assert_eq!(blocks(page, "sh cluster"), ["three\n"]);
}
