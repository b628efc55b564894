//! Whoever follows docs/QUICKSTART.md in a fresh clone, word for word and in one terminal, gets to its end. It is no part of
//! `cargo test`, because the page begins with a demo's whole day, which wants the machine for itself; `make test-all` runs it.

// So that clippy takes the whole binary for a test, not only the functions that are marked as one.
#![cfg(test)]

#[path = "deploy/pages.rs"]
mod pages;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const PAGE: &str = "docs/QUICKSTART.md";
/// A demo's day takes one minute, everything else some seconds.
const PATIENCE_SECONDS: &str = "400";

/// Stands in for the one build on the page: what it would build of this clone was built just now, and is this test's own.
const CARGO: &str = "#!/bin/sh\n[ \"$*\" = 'build --locked' ]\n";

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// All that git has of this repository, and nothing else.
fn cloned() -> TempDir {
    let clone = TempDir::new().unwrap();
    // The servers that root starts run as somebody with less, who must get through.
    fs::set_permissions(clone.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = "git -c safe.directory='*' archive HEAD | tar --extract --directory \"$0\"";
    let mut bash = Command::new("bash");
    let copied = bash.args(["-euo", "pipefail", "-c", copy]).arg(clone.path()).current_dir(REPOSITORY).status();
    assert!(copied.unwrap().success());
    for folder in ["bin", "target/debug"] {
        fs::create_dir_all(clone.path().join(folder)).unwrap();
    }
    executable(&clone.path().join("bin/cargo"), CARGO);
    symlink(env!("CARGO_BIN_EXE_warmup"), clone.path().join("target/debug/warmup")).unwrap();
    clone
}

/// Types `script` into one shell in the clone, which ends it when it takes too long.
fn typed(clone: &Path, script: &str) -> Output {
    let mut terminal = Command::new("timeout");
    terminal.args([PATIENCE_SECONDS, "bash", "-euo", "pipefail", "-c", script]).current_dir(clone).stdin(Stdio::null());
    let system = std::env::var("PATH").unwrap();
    terminal.env_clear().env("PATH", format!("{}:{system}", clone.join("bin").display())).env("HOME", clone);
    // Root's folder would be the machine's own, and the port of a test is never fixed.
    terminal.env("WARMUP_DATA_DIR", clone.join("data")).env("WARMUP_HTTP_ADDR", "127.0.0.1:0");
    terminal.output().unwrap()
}

#[test]
fn a_fresh_clone_follows_the_page_word_for_word() {
    let clone = cloned();
    let page = fs::read_to_string(Path::new(REPOSITORY).join(PAGE)).unwrap();
    let blocks = pages::blocks(&page, "sh");
    assert!(blocks.len() >= 8, "{} blocks", blocks.len());
    let Output { status, stdout, stderr } = typed(clone.path(), &blocks.concat());
    let said = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(status.success(), "{status}\n{said}");
    for words in ["the proof holds", "imported: 2 mailboxes, 2 new", "master.key was made", "ben@two.test", "warmup_"] {
        assert!(said.contains(words), "{words} is not in: {said}");
    }
    assert!(!clone.path().join("mailboxes.csv").exists());
    println!("{PAGE}: {} blocks typed", blocks.len());
}
