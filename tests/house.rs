//! The house holds its own rules: imports go down only, files are where they belong, guards and settings exist.
#![cfg(test)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use warmup_support::mutants::Mutants;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The floors, from the ground up. Modules of one floor that may not name each other stand in [`STRANGERS`].
const FLOORS: [&[&str]; 6] =
    [&["domain"], &["config", "ports", "observe"], &["adapters", "worker"], &["api", "local"], &["app"], &["cli"]];

const STRANGERS: [&str; 3] = ["api", "adapters", "worker"];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// What is wrong with `text` as a file of `module`.
fn breaks_of(module: &str, text: &str) -> Vec<String> {
    let Some(own) = floor(module) else { return Vec::new() };
    let production = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let wrong = |other: &&String| {
        let Some(theirs) = floor(other) else { return false };
        let strangers = STRANGERS.contains(&module) && STRANGERS.contains(&other.as_str());
        other.as_str() != module && (theirs > own || strangers)
    };
    named_in(production).iter().filter(wrong).map(|other| format!("{module} names {other}")).collect()
}

/// The modules of the crate that a text names: behind `crate::`, also in braces.
fn named_in(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => _ = names.insert(word(rest)),
            Some(group) => names.extend(top_level(group).iter().map(|part| word(part))),
        }
    }
    names
}

/// The parts of a brace group, split at its own commas.
fn top_level(group: &str) -> Vec<String> {
    let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(std::mem::take(&mut part)),
            _ => {
                depth += i32::from(character == '{') - i32::from(character == '}');
                part.push(character);
            }
        }
    }
    parts.push(part);
    parts
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

fn files_under(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} has {ending} files");
    found
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("a file under src");
    word(&inside.components().next().expect("a file has a name").as_os_str().to_string_lossy())
}

#[test]
fn imports_go_down_only() {
    let breaks: Vec<String> = files_under("src", ".rs")
        .iter()
        .filter(|path| !path.ends_with("tests.rs"))
        .flat_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let breaks = breaks_of(&module_of(path), &text);
            breaks.into_iter().map(move |broken| format!("{}: {broken}", path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(breaks, [""; 0]);
}

#[test]
fn an_import_that_goes_up_is_found() {
    assert_eq!(breaks_of("domain", "use crate::ports::Clock;"), ["domain names ports"]);
    assert_eq!(
        breaks_of("worker", "use crate::{\n    adapters::{memory::X, y},\n    ports::Clock,\n};"),
        ["worker names adapters"]
    );
    assert_eq!(breaks_of("adapters", "fn f() { crate::worker::run() }"), ["adapters names worker"]);
    assert!(breaks_of("cli", "use crate::{app, worker::{A, B}, domain::id};").is_empty());
}

#[test]
fn no_file_is_called_mod_or_utils() {
    const BANNED: [&str; 5] = ["mod.rs", "utils.rs", "util.rs", "helpers.rs", "common.rs"];
    let found: Vec<PathBuf> = ["src", "tests"]
        .iter()
        .flat_map(|folder| files_under(folder, ".rs"))
        .filter(|path| BANNED.iter().any(|name| path.ends_with(name)))
        .collect();
    assert_eq!(found, [] as [PathBuf; 0]);
}

#[test]
fn every_script_begins_with_its_contract_and_builds_no_key() {
    for path in files_under("lua", ".lua") {
        let text = fs::read_to_string(&path).unwrap();
        let head: String = text.lines().take_while(|line| line.starts_with("#!") || line.starts_with("--")).collect();
        assert!(text.starts_with("#!lua"), "{}: the first line is #!lua", path.display());
        for part in ["KEYS", "ARGV", "eturns"] {
            assert!(head.contains(part), "{}: its head says nothing of {part}", path.display());
        }
        for call in text.split("redis.call(").skip(1) {
            let key = call.split(',').nth(1).unwrap_or_default();
            assert!(!key.contains(".."), "{}: a key is glued together: {key}", path.display());
        }
    }
}

#[test]
fn the_environment_is_read_in_config_only() {
    let readers: Vec<PathBuf> = files_under("src", ".rs")
        .into_iter()
        .filter(|path| module_of(path) != "config" && !path.to_string_lossy().contains("tests"))
        .filter(|path| fs::read_to_string(path).unwrap().contains("env::var("))
        .collect();
    assert_eq!(readers, [] as [PathBuf; 0]);
}

#[test]
fn documents_name_only_settings_that_exist() {
    let table = fs::read_to_string(root().join("src/config/table.rs")).unwrap();
    let mut documents = files_under("docs", ".md");
    documents.extend([root().join("README.md"), root().join("Makefile")]);
    for path in documents {
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("WARMUP_") {
            let name: String =
                text[at..].chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').collect();
            let family = name == "WARMUP_";
            assert!(family || table.contains(&format!("\"{name}\"")), "{}: {name} is no setting", path.display());
        }
    }
}

#[test]
fn every_mutant_has_its_place_and_its_tests_exist() {
    let sources: Vec<String> = ["src", "tests"]
        .iter()
        .flat_map(|folder| files_under(folder, ".rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for mutant in Mutants::read(root()).mutant {
        mutant.break_in(root()).unwrap_or_else(|fault| panic!("{fault}"));
        assert!(!mutant.tests.is_empty(), "{} names no test", mutant.name);
        for test in &mutant.tests {
            let name = test.rsplit("::").next().unwrap_or_default();
            let exists = sources.iter().any(|text| text.contains(&format!("fn {name}(")));
            assert!(exists, "{}: there is no test {name}", mutant.name);
        }
    }
}
