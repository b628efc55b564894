//! `make mutants`: takes each guard away in a copy of the tree and demands that exactly its tests fail.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use warmup_support::mutants::{Mutant, Mutants};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let list = Mutants::read(&root);
    let only = args.iter().position(|arg| arg == "--only").and_then(|at| args.get(at + 1));
    let chosen: Vec<&Mutant> =
        list.mutant.iter().filter(|mutant| only.is_none_or(|only| mutant.name.contains(only.as_str()))).collect();
    if args.iter().any(|arg| arg == "--list") {
        chosen.iter().for_each(|mutant| println!("{:<4} {:<40} {}", mutant.invariant, mutant.name, mutant.file));
        return ExitCode::SUCCESS;
    }
    let copy = copy_of(&root);
    let survivors: Vec<&str> =
        chosen.iter().filter(|mutant| !dies(&copy, mutant)).map(|mutant| mutant.name.as_str()).collect();
    println!("{} guards, {} without the tests they name", chosen.len(), survivors.len());
    if survivors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Copies what git knows, and what is new, into a folder that is kept for its build results.
fn copy_of(root: &Path) -> PathBuf {
    let copy = root.join("target/mutants/tree");
    let _ = std::fs::remove_dir_all(&copy);
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git lists the tree");
    for file in String::from_utf8_lossy(&listed.stdout).lines().filter(|file| root.join(file).is_file()) {
        let to = copy.join(file);
        std::fs::create_dir_all(to.parent().expect("a file has a folder")).expect("the copy can be written");
        std::fs::copy(root.join(file), to).expect("the copy can be written");
    }
    copy
}

/// Says whether exactly the named tests fail without the guard.
fn dies(copy: &Path, mutant: &Mutant) -> bool {
    let path = copy.join(&mutant.file);
    let whole = std::fs::read_to_string(&path).unwrap_or_default();
    let broken = match mutant.break_in(copy) {
        Ok(broken) => broken,
        Err(fault) => {
            println!("FAULT  {fault}");
            return false;
        }
    };
    std::fs::write(&path, broken).expect("the copy can be written");
    let failed: Result<BTreeSet<String>, String> =
        mutant.binaries().into_iter().try_fold(BTreeSet::new(), |mut all, binary| {
            all.extend(failures(copy, binary, &mutant.filter)?);
            Ok(all)
        });
    std::fs::write(&path, whole).expect("the copy can be written");
    let named: BTreeSet<String> = mutant.tests.iter().cloned().collect();
    match failed {
        Ok(failed) if failed == named => {
            println!("ok     {} ({}): {} tests fail", mutant.name, mutant.invariant, failed.len());
            true
        }
        Ok(failed) => {
            println!("WRONG  {} ({})", mutant.name, mutant.invariant);
            named.difference(&failed).for_each(|test| println!("         passes all the same: {test}"));
            failed.difference(&named).for_each(|test| println!("         fails, not named: {test}"));
            false
        }
        Err(text) => {
            println!("FAULT  {}: it does not build:\n{text}", mutant.name);
            false
        }
    }
}

/// Runs a test binary and returns which of its tests failed.
fn failures(copy: &Path, binary: &str, filter: &str) -> Result<BTreeSet<String>, String> {
    let target = if binary == "lib" { vec!["--lib"] } else { vec!["--test", binary] };
    // By its name, so that the toolchain is chosen here once and not by each crate that brings a toolchain file.
    let output = Command::new("cargo")
        .args(["test", "--locked", "--package", "warmup", "--no-fail-fast"])
        .args(target)
        .args((!filter.is_empty()).then_some(filter))
        .env("CARGO_TARGET_DIR", copy.join("../target"))
        .current_dir(copy)
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !text.contains("test result:") {
        return Err(String::from_utf8_lossy(&output.stderr).lines().rev().take(30).collect::<Vec<_>>().join("\n"));
    }
    let name = |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.trim().to_owned());
    let bare = |name: String| name.split(" - ").next().map(|name| format!("{binary}::{name}")).unwrap_or_default();
    Ok(text.lines().filter_map(name).map(bare).collect())
}
