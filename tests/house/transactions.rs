//! A transaction begins by `transaction::begin`, which a caller that is dropped can't leave open (`what_follows_…` in
//! tests/postgres/dropped.rs). The proof of a day shares no code with what wrote it, and its pool ends with it.

use super::tree::{self, Tree};

const MAY: [&str; 2] = ["src/adapters/postgres/transaction.rs", "src/demo/audit/snapshot.rs"];

fn faults(tree: &Tree) -> Vec<String> {
    let begins = |text: &str| {
        let code: String = tree::production(text).split_whitespace().collect();
        ["pool.begin()", "pool().begin()", "pool.begin_with(", "pool.try_begin("].iter().any(|call| code.contains(call))
    };
    let wrong = tree.iter().filter(|(path, text)| !MAY.contains(&path.as_str()) && begins(text));
    wrong.map(|(path, _)| format!("{path}: begin it by transaction::begin")).collect()
}

#[test]
fn no_transaction_is_left_open_by_a_caller_that_is_dropped() {
    let found = faults(&tree::read(&["src"]));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_transaction_that_begins_on_a_pool_is_found() {
    assert_eq!(faults(&tree::of("src/app/a.rs", "let t = pool\n    .begin()\n    .await?;")).len(), 1);
    assert_eq!(faults(&tree::of("src/app/a.rs", "let t = self.pool.begin().await?;")).len(), 1);
    assert!(faults(&tree::of("src/app/a.rs", "let t = transaction::begin(pool).await?;")).is_empty());
}
