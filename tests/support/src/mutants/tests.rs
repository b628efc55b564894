use super::{trial, *};

fn mutant(text: &str) -> Mutant {
    Mutant {
        name: "m".to_owned(),
        invariant: "I1".to_owned(),
        file: "src/guard.rs".to_owned(),
        edits: vec![Edit { text: text.to_owned(), replacement: "true".to_owned() }],
        tests: vec!["lib::guard::tests::it_holds".to_owned()],
        filter: String::new(),
    }
}

/// Creates a tree with one guard, one test and this list.
fn tree(list: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["src", "tests"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    fs::write(dir.path().join("src/guard.rs"), "if a < b {}\nif a < c {}\nfn it_holds() {}").unwrap();
    fs::write(dir.path().join("tests/mutants.toml"), list).unwrap();
    dir
}

const SOUND: &str = r#"
[[mutant]]
name = "m"
invariant = "I1"
file = "src/guard.rs"
edits = [{ text = "a < b", replacement = "true" }]
filter = "guard"
tests = ["lib::guard::tests::it_holds"]
"#;

#[test]
fn a_guard_is_damaged_where_it_stands_once() {
    assert_eq!(mutant("a < b").damage("if a < b {}").unwrap(), "if true {}");
    assert!(mutant("a < b").damage("a < b; a < b").unwrap_err().contains("2 times"));
    assert!(mutant("a < b").damage("a > b").unwrap_err().contains("not in src/guard.rs"));
    assert!(mutant("true").damage("true").unwrap_err().contains("change nothing"));
}

#[test]
fn a_list_that_fits_has_no_faults() {
    assert_eq!(faults(tree(SOUND).path()), Vec::<String>::new());
}

#[test]
fn each_fault_of_a_list_is_found() {
    let wrong = [
        ("a < b", "a <", "2 times"),
        ("a < b", "a > b", "not in src/guard.rs"),
        ("src/guard.rs", "src/gone.rs", "src/gone.rs: "),
        ("\"I1\"", "\"I0\"", "no invariant"),
        ("it_holds", "it_is_gone", "no such test"),
        ("lib::", "fleet::", "there is no tests/fleet.rs"),
        ("[\"lib::guard::tests::it_holds\"]", "[]", "no test notices it"),
        ("filter = \"guard\"", "filter = \"other\"", "leaves it out"),
        ("text =", "txt =", "unknown field"),
    ];
    for (right, broken, says) in wrong {
        let found = faults(tree(&SOUND.replacen(right, broken, 1)).path()).join("\n");
        assert!(found.contains(says), "{broken}: {found}");
    }
    assert!(faults(tree(&SOUND.repeat(2)).path())[0].contains("twice"));
}

#[test]
fn what_libtest_prints_is_read() {
    let said = "running 4 tests\ntest a::b ... ok\ntest c - should panic ... FAILED\ntest d ... ignored, why\n\
                test e ... ok <1.2s>\ntest result: FAILED. 2 passed; 1 failed";
    let read = trial::results(said);
    let expected = [("a::b", true), ("c", false), ("e", true)].map(|(name, passed)| (name.to_owned(), passed));
    assert_eq!(read, BTreeMap::from(expected));
}

#[test]
fn at_least_the_listed_tests_must_fail() {
    let results = trial::results("test a ... FAILED\ntest b ... ok\ntest c ... FAILED");
    let listed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    assert_eq!(trial::unnoticed_by(&results, &listed(&["a", "c"])), Vec::<String>::new());
    assert_eq!(trial::unnoticed_by(&results, &listed(&["a"])), Vec::<String>::new());
    let all = listed(&["a", "b", "c", "d"]);
    assert_eq!(trial::unnoticed_by(&results, &all), ["b passes all the same", "d did not run"]);
}
