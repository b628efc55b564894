//! This module runs one test binary in the damaged copy and evaluates its results.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::process::Command;

use super::copy::Copy;

/// The longest run: without its guard a test may wait for ever.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// The tests of one binary, with true for a passed one. Ignored tests are excluded.
pub type Results = BTreeMap<String, bool>;

/// Builds `binary` (`lib` or the name of a file in `tests/`) in the copy and runs its tests whose path contains
/// `filter`.
///
/// Returns an error if the binary does not build, does not end, or dies without naming a failed test.
pub async fn run(copy: &Copy, binary: &str, filter: &str) -> anyhow::Result<Results> {
    // The plain name `cargo` chooses the toolchain once here, and not again for each crate with a toolchain
    // file.
    let mut command = Command::new("cargo");
    command.args(["test", "--locked", "--package", "warmup", "--no-fail-fast"]);
    match binary {
        "lib" => command.arg("--lib"),
        other => command.args(["--test", other]),
    };
    // The filter follows the dashes, where an empty one filters nothing.
    command.args(["--", filter]);
    command.current_dir(&copy.tree).env("CARGO_TARGET_DIR", &copy.target).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output());
    let output = output.await.with_context(|| format!("{binary} did not end"))?.context("cargo")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let results = results(&said);
    let explained = output.status.success() || results.values().any(|passed| !passed);
    if results.is_empty() || !explained {
        let errors = String::from_utf8_lossy(&output.stderr);
        let first = errors.lines().filter(|line| line.starts_with("error")).take(3).collect::<Vec<_>>();
        bail!("{binary} did not build or died ({}): {}", output.status, first.join("; "));
    }
    Ok(results)
}

/// Parses the output of libtest: `test path::of::name ... ok`, with ` - should panic` after some names.
pub fn results(said: &str) -> Results {
    let read = |line: &str| {
        let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let name = name.strip_suffix(" - should panic").unwrap_or(name).to_owned();
        match result.split_whitespace().next()? {
            "ok" => Some((name, true)),
            "FAILED" => Some((name, false)),
            _ => None,
        }
    };
    said.lines().filter_map(read).collect()
}

/// Returns the `listed` tests that did not fail. Other tests may fail too, because they also check the guard.
pub fn unnoticed_by(results: &Results, listed: &BTreeSet<String>) -> Vec<String> {
    let unnoticed = listed.iter().filter_map(|test| match results.get(test) {
        Some(true) => Some(format!("{test} passes all the same")),
        Some(false) => None,
        None => Some(format!("{test} did not run")),
    });
    unnoticed.collect()
}
