//! `tests/mutants.toml` fits the tree: each guard is where it is said to be, each test that must fail exists.

use std::path::Path;

use warmup_support::mutants;

#[test]
fn every_mutant_has_its_guard_and_its_tests() {
    let found = mutants::faults(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(found.is_empty(), "{}", found.join("\n"));
}
