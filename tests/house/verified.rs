//! Each statement that writes `mailboxes.verified_by` records the event of that by `verification_events!`.

use super::tree::{self, Tree};

/// Returns every file with more such statements than uses of the macro.
fn faults(tree: &Tree) -> Vec<String> {
    let wrong = tree.iter().filter_map(|(path, text)| {
        let code = tree::production(text).split_whitespace().collect::<Vec<_>>().join(" ");
        let compares = code.matches("AND verified_by = ").count();
        let writes = code.matches("verified_by = ").count() - compares + code.matches("INSERT INTO mailboxes").count();
        let events = code.matches("verification_events!(\"").count();
        (writes > events).then(|| {
            format!("{path}: {writes} statements write mailboxes.verified_by, {events} use verification_events!")
        })
    });
    wrong.collect()
}

#[test]
fn whatever_verifies_a_mailbox_or_ends_that_writes_its_event() {
    let tree = tree::read(&["src/adapters"]);
    let found = faults(&tree);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let uses = tree.values().map(|text| text.matches("verification_events!(\"").count()).sum::<usize>();
    assert_eq!(uses, 5, "enrolment, change, domain confirmed and revoked, code");
}

#[test]
fn a_statement_without_the_event_is_found() {
    let path = "src/adapters/postgres/a.rs";
    assert_eq!(faults(&tree::of(path, "UPDATE mailboxes m SET state = '', verified_by = NULL")).len(), 1);
    assert_eq!(faults(&tree::of(path, "INSERT INTO mailboxes (id, email)")).len(), 1);
    let fine = "SET verified_by = NULL WHERE user_id = $1 AND verified_by = 'domain'), verification_events!(\"$1\")";
    assert!(faults(&tree::of(path, fine)).is_empty());
}
