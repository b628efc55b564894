//! The list of guards, and what it takes to break one: `tests/mutants.toml`.

use std::path::Path;

use serde::Deserialize;

/// All guards.
#[derive(Debug, Deserialize)]
pub struct Mutants {
    pub mutant: Vec<Mutant>,
}

/// A guard, the change that takes it away, and who must notice.
#[derive(Debug, Deserialize)]
pub struct Mutant {
    pub name: String,
    /// The invariant that it guards, `I1` to `I9`.
    pub invariant: String,
    pub file: String,
    pub edits: Vec<Edit>,
    /// The tests that must fail, and no other of those that are run: `binary::path::of::the::test`, `lib::…` for those in
    /// `src`.
    pub tests: Vec<String>,
    /// Only tests whose path contains this are run.
    #[serde(default)]
    pub filter: String,
}

/// One place and what stands there instead.
#[derive(Debug, Deserialize)]
pub struct Edit {
    pub text: String,
    pub replacement: String,
}

impl Mutants {
    /// Reads the list of the tree at `root`.
    pub fn read(root: &Path) -> Mutants {
        let text = std::fs::read_to_string(root.join("tests/mutants.toml")).expect("tests/mutants.toml is there");
        toml::from_str(&text).unwrap_or_else(|error| panic!("tests/mutants.toml: {error}"))
    }
}

impl Mutant {
    /// Returns the file with the guard taken away, or which edit does not have exactly one place.
    pub fn break_in(&self, root: &Path) -> Result<String, String> {
        let text = std::fs::read_to_string(root.join(&self.file)).map_err(|error| format!("{}: {error}", self.file))?;
        self.edits.iter().try_fold(text, |text, edit| match text.matches(&edit.text).count() {
            1 => Ok(text.replacen(&edit.text, &edit.replacement, 1)),
            n => Err(format!("{}: `{}` stands {n} times in {}, not once", self.name, edit.text, self.file)),
        })
    }

    /// The test binaries that its tests are in, each once.
    pub fn binaries(&self) -> Vec<&str> {
        let mut binaries: Vec<&str> = self.tests.iter().filter_map(|test| Some(test.split_once("::")?.0)).collect();
        binaries.sort_unstable();
        binaries.dedup();
        binaries
    }
}
