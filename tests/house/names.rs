//! File names say what is inside: no `mod.rs`, and none of the words behind which anything may be put.

use super::tree::{self, Tree};

const EMPTY_WORDS: [&str; 10] =
    ["mod", "util", "utils", "helper", "helpers", "manager", "managers", "common", "misc", "shared"];

/// Returns every file and folder with a name that says nothing.
fn faults(tree: &Tree) -> Vec<String> {
    let empty = |path: &&String| {
        path.split('/').any(|part| EMPTY_WORDS.contains(&part.split('.').next().expect("split yields at least one")))
    };
    tree.keys().filter(empty).map(|path| format!("{path}: name it after what it does")).collect()
}

#[test]
fn every_file_is_named_after_its_idea() {
    let found = faults(&tree::read(&["src", "tests", "lua", "benches"]));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_empty_word_is_found_wherever_it_stands() {
    for path in ["src/domain/mod.rs", "src/utils.rs", "src/helpers/time.rs", "tests/common/world.rs"] {
        assert_eq!(faults(&tree::of(path, "")).len(), 1, "{path}");
    }
    assert_eq!(faults(&tree::of("src/domain/model.rs", "")), Vec::<String>::new());
}
