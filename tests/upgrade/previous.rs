//! The release before this one: found by its tag or its commit, exported beside the build, and built there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// A built release.
pub struct Previous {
    pub tag: String,
    pub binary: String,
    /// Whether this release's schema is its own too.
    pub has_our_migrations: bool,
}

/// 0.1.0-rc.1, for clones that have its history and not its tag.
const UNTAGGED: &str = "147b9b1";

static RELEASE: OnceLock<Previous> = OnceLock::new();

/// What is in a target folder of crates that others wrote, and the record that they are built.
const BUILT: [&str; 3] = ["deps", "build", ".fingerprint"];

impl Previous {
    /// The one that `PREVIOUS` names, or the newest tag that is behind this commit, or [`UNTAGGED`]. The first who asks has
    /// it built.
    pub fn release() -> &'static Previous {
        RELEASE.get_or_init(|| Previous::build(&wanted()))
    }

    fn build(tag: &str) -> Previous {
        let folder = root().join("target/upgrade").join(tag.replace('/', "-"));
        let (source, target) = (folder.join("source"), folder.join("target"));
        export(tag, &source);
        seed(&target);
        let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        cargo.args(["build", "--locked", "--bin", "warmup"]).current_dir(&source).env("CARGO_TARGET_DIR", &target);
        assert!(cargo.status().unwrap().success(), "{tag} does not build in {}", source.display());
        let binary = target.join("debug/warmup").display().to_string();
        println!("upgrading from {tag}: {binary}");
        let has_our_migrations = migrations(&source) == migrations(root());
        Previous { tag: tag.to_owned(), binary, has_our_migrations }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn git(args: &[&str]) -> String {
    let output = Command::new("git").args(args).current_dir(root()).output().expect("git is installed");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn wanted() -> String {
    match std::env::var("PREVIOUS") {
        Ok(tag) if !tag.is_empty() => tag,
        _ => newest_behind(&git(&["rev-parse", "HEAD"])),
    }
}

fn newest_behind(head: &str) -> String {
    let tags = git(&["tag", "--merged", head, "--sort=-creatordate"]);
    let mut behind = tags.lines().filter(|tag| git(&["rev-parse", &format!("{tag}^{{commit}}")]) != head);
    let tagged = behind.next().map(str::to_owned);
    let found = tagged.or_else(|| is_behind(UNTAGGED, head).then(|| UNTAGGED.to_owned()));
    found.expect(
        "no release is behind this commit: fetch the history and its tags (git fetch --tags --unshallow), or name the \
         release to upgrade from (make upgrade PREVIOUS=v1.2.3)",
    )
}

fn is_behind(commit: &str, head: &str) -> bool {
    let asked = Command::new("git").args(["merge-base", "--is-ancestor", commit, head]).current_dir(root()).status();
    asked.expect("git is installed").success()
}

/// Writes the tag's tree to `source`, unless it is there.
fn export(tag: &str, source: &Path) {
    let commit = git(&["rev-parse", "--verify", "--end-of-options", &format!("{tag}^{{commit}}")]);
    let mark = source.join(".exported");
    if fs::read_to_string(&mark).is_ok_and(|known| known == commit) {
        return;
    }
    let _ = fs::remove_dir_all(source);
    fs::create_dir_all(source).unwrap();
    let mut archive =
        Command::new("git").args(["archive", &commit]).current_dir(root()).stdout(Stdio::piped()).spawn().unwrap();
    let mut tar = Command::new("tar");
    let unpacked = tar.arg("-x").arg("-C").arg(source).stdin(archive.stdout.take().unwrap()).status().unwrap();
    assert!(archive.wait().unwrap().success() && unpacked.success(), "{tag} can't be exported");
    fs::write(mark, commit).unwrap();
}

/// Gives a new target folder what others' crates are built to here, by hard links; what does not fit is built anew.
fn seed(target: &Path) {
    if target.exists() {
        return;
    }
    let debug = target.join("debug");
    fs::create_dir_all(&debug).unwrap();
    let here = Path::new(env!("CARGO_BIN_EXE_warmup")).parent().unwrap();
    let parts = BUILT.iter().map(|part| here.join(part)).filter(|part| part.exists());
    let _ = Command::new("cp").arg("--archive").arg("--link").args(parts).arg(&debug).status();
}

/// Names and contents, which a migration never changes.
fn migrations(tree: &Path) -> Vec<(PathBuf, String)> {
    let files = fs::read_dir(tree.join("migrations")).unwrap().map(|file| file.unwrap().path());
    let mut found: Vec<_> =
        files.map(|file| (file.strip_prefix(tree).unwrap().to_owned(), fs::read_to_string(&file).unwrap())).collect();
    found.sort();
    found
}

#[test]
#[should_panic(expected = "fetch the history and its tags")]
fn a_commit_before_all_releases_is_a_failure_that_says_what_to_do() {
    let first = git(&["rev-list", "--max-parents=0", "HEAD"]);
    newest_behind(first.lines().next().unwrap());
}
