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

use super::{
    pages::blocks,
    tools::{command, outcome, path, read, tool},
};

const BINARY: &str = env!("CARGO_BIN_EXE_warmup");
/// What is typed beside a worker, and how many blocks of it there are at least.
const PAGES: [(&str, usize); 3] = [("README.md", 2), ("docs/DEPLOYMENT.md", 6), ("docs/RUNBOOK.md", 6)];
/// What `tests/quickstart.rs` types.
const QUICKSTART: &str = "docs/QUICKSTART.md";
/// Blocks that show something and are not to be typed.
const SHOWN: [&str; 4] = ["", "console", "sieve", "text"];
/// How a page begins what is said to a pod.
const IN_A_POD: &str = "/usr/local/bin/warmup ";
/// How a page begins what it shows at a prompt.
const AT_A_PROMPT: &str = "$ warmup ";
const PATIENCE: Duration = Duration::from_secs(30);

const CSV: &str = "email,password,smtp_host,smtp_port\n\
                   anna@one.test,secret-1,mail.one.test,465\n\
                   ben@two.test,secret-2,mail.two.test,587\n";

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
    for (page, least) in PAGES {
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
        // The pages are opened beside a worker.
        eventually(PATIENCE, async || {
            let status = with_services(shell(desk.path(), "-c", "warmup fleet status | grep -q shards"));
            { status }.status().unwrap().success()
        })
        .await;
        let blocks = blocks(&read(page), "sh");
        assert!(blocks.len() >= least, "{page}: {} blocks", blocks.len());
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
    let in_a_pod = line.split_once(IN_A_POD).map(|(_, arguments)| arguments);
    let (well, out, said) = if let Some(to_the_program) = in_a_pod.or_else(|| line.strip_prefix(AT_A_PROMPT)) {
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
    for (page, _) in PAGES {
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
fn what_the_pages_show_at_a_prompt_is_understood() {
    let desk = desk();
    let shown = pages().into_iter().flat_map(|page| blocks(&read(&page), "console"));
    let lines: Vec<String> = shown.flat_map(|block| commands(&block)).filter(|line| line.starts_with('$')).collect();
    let understood = lines.iter().filter(|line| line.starts_with(AT_A_PROMPT)).count();
    assert!(understood >= 10, "{lines:?}");
    for line in &lines {
        assert_eq!(faults(desk.path(), line), None);
    }
}

#[test]
fn a_line_that_nobody_would_take_is_found() {
    let desk = desk();
    for line in [
        "$ warmup import legacy --form @older.url",
        "kubectl exec deploy/warmup -- /usr/local/bin/warmup stauts",
        "kubectl exec deploy/warmup -- /usr/local/bin/warmup status --jsno",
        "helm upgrade --install warmup k8s --set settings.WARMUP_SHRADS=3",
        "helm upgrade --install warmup k8s --values k8s/values-huge.yaml",
    ] {
        assert!(faults(desk.path(), line).is_some(), "{line}");
    }
    assert_eq!(faults(desk.path(), "kubectl get pods"), None);
}

/// The first fence of a page behind which stands what no test types or reads, or what nobody can tell.
fn untried<'a>(page: &str, text: &'a str) -> Option<&'a str> {
    let read = PAGES.iter().any(|(known, _)| *known == page);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.trim_start().strip_prefix("```") else { continue };
        let is_tried = match kind {
            "sh" => read || page == QUICKSTART,
            "sh cluster" => read,
            other => SHOWN.contains(&other),
        };
        if !is_tried || line.starts_with(' ') {
            return Some(line);
        }
        lines.find(|line| *line == "```");
    }
    None
}

/// Every page there is.
fn pages() -> Vec<String> {
    let of_docs = fs::read_dir(path("docs")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let of_docs = of_docs.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned).into_iter().chain(of_docs).collect()
}

#[test]
fn no_page_says_to_type_what_nobody_tried() {
    let pages = pages();
    assert!(pages.len() > 10, "{pages:?}");
    for page in &pages {
        assert_eq!(untried(page, &read(page)), None, "{page}");
    }
}

#[test]
fn what_nobody_tried_is_found() {
    assert_eq!(untried("docs/NEW.md", "a\n```sh\nb\n```\n"), Some("```sh"));
    assert_eq!(untried(QUICKSTART, "```sh\nb\n```\n```sh cluster\nc\n```\n"), Some("```sh cluster"));
    assert_eq!(untried("README.md", "```bash\nb\n```\n"), Some("```bash"));
    assert_eq!(untried("README.md", "- a\n\n  ```sh\n  b\n  ```\n"), Some("  ```sh"));
    assert_eq!(untried("README.md", "```sh\nb\n```\n```console\n```\n"), None);
}
