//! Imports go down only, and `api`, `adapters` and `worker` never name one another: the table in `src/lib.rs`. Unit
//! tests are free: a worker's may stand on memory adapters.

use super::tree::{self, Tree, production};

/// Every module of the house and its floor.
const FLOORS: [(&str, u8); 14] = [
    ("domain", 0),
    ("config", 1),
    ("ports", 1),
    ("observe", 1),
    ("adapters", 2),
    ("simulation", 2),
    ("worker", 2),
    ("local", 3),
    ("demo", 3),
    ("reporting", 3),
    ("admin", 4),
    ("api", 5),
    ("app", 6),
    ("cli", 7),
];

/// They meet only through ports and in `app`, whatever their floors.
const PARTED: [&str; 3] = ["api", "adapters", "worker"];

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Says whether code in `from` may name `to`.
fn allowed(from: &str, to: &str) -> bool {
    let parted = PARTED.contains(&from) && PARTED.contains(&to);
    from == to || (!parted && floor(from) > floor(to))
}

/// Returns every import that breaks the table.
fn faults(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree {
        let Some(inner) = path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs")) else { continue };
        let modules: Vec<&str> = inner.split('/').collect();
        let from = modules[0];
        if ["main", "lib"].contains(&from) || inner.ends_with("/tests") {
            continue;
        }
        if floor(from).is_none() {
            found.push(format!("{path}: `{from}` is on no floor: add it to the table"));
            continue;
        }
        let wrong = named(&production(text), modules.len()).into_iter().filter(|to| floor(to).is_some());
        found.extend(wrong.filter(|to| !allowed(from, to)).map(|to| format!("{path}: `{from}` names `{to}`")));
    }
    found
}

/// Returns the top modules that code names, by `crate::` or by as many `super::` as lead out of its file's `depth`.
fn named(code: &str, depth: usize) -> Vec<String> {
    let climb = "super::".repeat(depth);
    let roots = ["crate::", climb.as_str()];
    roots.iter().flat_map(|root| code.match_indices(root).flat_map(|(at, _)| heads(&code[at + root.len()..]))).collect()
}

/// Returns the first word of a path, or of each path in braces: of `{a::b, c::{d, e}}` that is a and c.
fn heads(path: &str) -> Vec<String> {
    let Some(list) = path.strip_prefix('{') else { return vec![word(path)] };
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                found.push(word(&list[start..at]));
                start = at + 1;
                if letter == '}' {
                    return found;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

#[test]
fn imports_go_down_only() {
    let found = faults(&tree::read(&["src"]));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_import_that_goes_up_is_found() {
    let wrong = [
        ("src/domain/plan.rs", "use crate::ports::Clock;"),
        ("src/domain/plan.rs", "fn f() { crate::config::load() }"),
        ("src/ports/caps.rs", "use crate::{domain::id::UserId, config::Settings};"),
        ("src/config.rs", "use crate::{\n    domain::{\n        time,\n    },\n    observe,\n};"),
        ("src/domain/plan.rs", "use super::super::worker::Tick;"),
        ("src/domain.rs", "use super::adapters;"),
    ];
    for (path, text) in wrong {
        assert_eq!(faults(&tree::of(path, text)).len(), 1, "{path}: {text}");
    }
}

#[test]
fn api_adapters_and_worker_never_name_one_another() {
    for from in PARTED {
        for to in PARTED.iter().filter(|to| **to != from) {
            let path = format!("src/{from}/inner.rs");
            let text = format!("use crate::{{domain, {to}::inner}};");
            assert_eq!(faults(&tree::of(&path, &text)), [format!("{path}: `{from}` names `{to}`")]);
        }
    }
}

#[test]
fn a_module_outside_the_table_is_found() {
    assert_eq!(faults(&tree::of("src/extras/more.rs", "")).len(), 1);
}

#[test]
fn an_import_that_goes_down_is_fine() {
    let right = [
        ("src/worker/planner.rs", "use crate::{domain::plan, ports::{Clock, Ledger}, worker::lanes};"),
        ("src/local/servers.rs", "use crate::adapters::postgres;"),
        ("src/domain/plan.rs", "use super::id;\nmod tests { use super::*; use super::super::id; }"),
        ("src/domain/plan.rs", "//! Unlike [`crate::worker`].\n// crate::api"),
        ("src/app.rs", "use crate::{adapters, worker};"),
        ("src/cli/run.rs", "use crate::{api, app};"),
        ("src/worker/planner.rs", "#[cfg(test)]\nmod tests {\n    use crate::simulation;\n}"),
        ("src/worker/tick/tests.rs", "use crate::simulation;"),
    ];
    for (path, text) in right {
        assert_eq!(faults(&tree::of(path, text)), Vec::<String>::new(), "{path}: {text}");
    }
}
