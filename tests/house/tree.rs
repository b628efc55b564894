//! A tree of files as text: this repository's, or one made up to break a rule.

use std::{collections::BTreeMap, fs, path::Path};

/// Text by path, with `/` between the parts.
pub type Tree = BTreeMap<String, String>;

/// Reads every text file below `folders` of this repository. A folder that is not there yet is empty.
pub fn read(folders: &[&str]) -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = Tree::new();
    for folder in folders {
        gather(root, &root.join(folder), &mut tree);
    }
    tree
}

fn gather(root: &Path, path: &Path, tree: &mut Tree) {
    // Others' code, which the browser tests install.
    if path.ends_with("node_modules") {
        return;
    }
    if let Ok(entries) = fs::read_dir(path) {
        entries.flatten().for_each(|entry| gather(root, &entry.path(), tree));
    } else if let Ok(text) = fs::read_to_string(path) {
        let name = path.strip_prefix(root).expect("it was found below the root");
        tree.insert(name.to_string_lossy().replace('\\', "/"), text);
    }
}

/// Makes a tree of one file.
pub fn of(path: &str, text: &str) -> Tree {
    Tree::from([(path.to_owned(), text.to_owned())])
}

/// Returns the code of a Rust file: without comments, so that prose may name what code may not.
pub fn code(text: &str) -> String {
    let without_comment = |line: &str| match line.split_once("//") {
        // Not the slashes of an address.
        Some((before, _)) if !before.ends_with(':') => before.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// Returns the code of a Rust file that is built into the binary: what stands before its inline tests.
pub fn production(text: &str) -> String {
    code(text.split("#[cfg(test)]\nmod ").next().expect("split yields at least one"))
}

#[test]
fn this_repository_is_read() {
    let tree = read(&["src", "Makefile"]);
    assert!(tree.contains_key("src/lib.rs") && tree.contains_key("src/domain/lease.rs"), "{:?}", tree.keys());
    assert!(tree.contains_key("Makefile"));
}

#[test]
fn comments_are_no_code() {
    assert_eq!(code("use a; // not b\n/// c\nlet d = \"http://e\";"), "use a; \n\nlet d = \"http://e\";");
}
