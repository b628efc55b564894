//! This module reads `tests/mutants.toml`: the guards, and the tests that must fail without each guard.
//!
//! A test that passes without its guard proves nothing. A test that fails for another guard hides which guard
//! works. So the list is exact in both directions.

pub mod copy;
pub mod trial;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;

/// A guard, its damage, and the tests that must fail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// The effect of the damaged code.
    pub name: String,
    /// `I1` to `I9`, or `safety`.
    pub invariant: String,
    pub file: String,
    pub edits: Vec<Edit>,
    /// The tests as `binary::path::of::test`, with `lib` as the binary of the unit tests.
    pub tests: Vec<String>,
    /// The filter: only tests whose path contains it run.
    #[serde(default)]
    pub filter: String,
}

/// A replacement of a text that occurs once in its file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    pub text: String,
    pub replacement: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// Reads the list of the tree at `root`.
pub fn read(root: &Path) -> anyhow::Result<Vec<Mutant>> {
    let list: List = toml::from_str(&fs::read_to_string(root.join("tests/mutants.toml"))?)?;
    Ok(list.mutant)
}

impl Mutant {
    /// Returns `source` with the damage, or the reason why the damage is impossible.
    pub fn damage(&self, source: &str) -> Result<String, String> {
        let Mutant { name, file, edits, .. } = self;
        let damaged = edits.iter().try_fold(source.to_owned(), |source, Edit { text, replacement }| {
            match source.matches(text.as_str()).count() {
                1 => Ok(source.replacen(text.as_str(), replacement, 1)),
                0 => Err(format!("{name}: `{text}` is not in {file}")),
                times => Err(format!("{name}: `{text}` is {times} times in {file}: take more of the line")),
            }
        })?;
        if damaged == source { Err(format!("{name}: its edits change nothing")) } else { Ok(damaged) }
    }

    /// Returns the tests that must fail, grouped by their binary.
    pub fn tests_by_binary(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut binaries: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (binary, test) in self.tests.iter().filter_map(|test| test.split_once("::")) {
            binaries.entry(binary.to_owned()).or_default().insert(test.to_owned());
        }
        binaries
    }
}

/// Returns every entry of the list that does not match the tree at `root`.
pub fn faults(root: &Path) -> Vec<String> {
    match read(root) {
        Ok(mutants) => faults_of(root, &mutants),
        Err(error) => vec![format!("tests/mutants.toml: {error:#}")],
    }
}

/// Returns the problems of these entries with the tree at `root`.
pub fn faults_of(root: &Path, mutants: &[Mutant]) -> Vec<String> {
    let mut sources = String::new();
    gather(&root.join("src"), &mut sources);
    gather(&root.join("tests"), &mut sources);
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for mutant in mutants {
        if !names.insert(&mutant.name) {
            found.push(format!("{}: the name is there twice", mutant.name));
        }
        found.extend(own_faults(root, mutant, &sources));
    }
    found
}

fn own_faults(root: &Path, mutant: &Mutant, sources: &str) -> Vec<String> {
    let Mutant { name, invariant, file, tests, .. } = mutant;
    let mut found = Vec::new();
    if !matches!(invariant.as_bytes(), [b'I', b'1'..=b'9'] | [b'I', b'2', b'0'..=b'3'] | b"safety") {
        found.push(format!("{name}: `{invariant}` is no invariant: I1 to I9, I20 to I23, or safety"));
    }
    match fs::read_to_string(root.join(file)) {
        Ok(source) => found.extend(mutant.damage(&source).err()),
        Err(error) => found.push(format!("{name}: {file}: {error}")),
    }
    if tests.is_empty() {
        found.push(format!("{name}: no test notices it"));
    }
    for test in tests {
        let (binary, function) = (test.split("::").next().unwrap_or_default(), test.rsplit("::").next());
        let function = function.unwrap_or_default();
        if binary != "lib" && !root.join(format!("tests/{binary}.rs")).exists() {
            found.push(format!("{name}: {test}: there is no tests/{binary}.rs"));
        }
        if !test.contains(&mutant.filter) {
            found.push(format!("{name}: {test}: the filter `{}` leaves it out", mutant.filter));
        }
        if function == binary || !sources.contains(&format!("fn {function}(")) {
            found.push(format!("{name}: {test}: there is no such test"));
        }
    }
    found
}

fn gather(path: &Path, sources: &mut String) {
    if let Ok(entries) = fs::read_dir(path) {
        entries.flatten().for_each(|entry| gather(&entry.path(), sources));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        sources.push_str(&fs::read_to_string(path).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
