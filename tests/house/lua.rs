//! Every script says at its head what it takes and what it returns, because nothing else checks the caller.

use super::tree::{self, Tree};

/// The first line, by which Redis knows the language, alone or with the one flag that lets a script run where others are
/// refused; and what the comment under it must name.
const FIRST: &str = "#!lua";
const FLAGS: [&str; 2] = ["#!lua flags=no-writes", "#!lua flags=allow-oom"];
const CONTRACT: [&str; 3] = ["KEYS", "ARGV", "Returns"];

/// Returns every script whose head is not a contract.
fn faults(tree: &Tree) -> Vec<String> {
    let scripts = tree.iter().filter(|(path, _)| path.ends_with(".lua"));
    scripts
        .flat_map(|(path, text)| script_faults(text).into_iter().map(move |fault| format!("{path}: {fault}")))
        .collect()
}

fn script_faults(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if first != FIRST && !FLAGS.contains(&first) {
        return vec![format!("its first line is not `{FIRST}`")];
    }
    let head: Vec<&str> = lines.map_while(|line| line.strip_prefix("--")).map(str::trim_start).collect();
    let names = |part: &&&str| head.iter().any(|line| line.starts_with(**part));
    let silent = CONTRACT.iter().filter(|part| !names(part)).map(|part| format!("its head does not say `{part}`"));
    silent.chain(glued(text)).collect()
}

/// A key that a script puts together is unknown to the cluster, which then may hold it on another node.
fn glued(text: &str) -> impl Iterator<Item = String> {
    let keys = text.split("redis.call(").skip(1).filter_map(|call| call.split([',', ')']).nth(1));
    keys.filter(|key| key.contains("..")).map(|key| format!("it glues a key together:{key}"))
}

#[test]
fn every_script_begins_with_its_contract() {
    let found = faults(&tree::read(&["lua", "src"]));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_script_without_a_contract_is_found() {
    let head = "#!lua\n-- Does it.\n--\n-- KEYS  1  the key\n-- ARGV  1  ttl, milliseconds\n-- Returns 1.\nreturn 1\n";
    assert_eq!(faults(&tree::of("lua/a.lua", head)), Vec::<String>::new());
    assert_eq!(faults(&tree::of("lua/a.lua", &head[6..])).len(), 1);
    assert_eq!(faults(&tree::of("lua/a.lua", &head.replace("#!lua", FLAGS[0]))), Vec::<String>::new());
    assert_eq!(faults(&tree::of("lua/a.lua", &head.replace("#!lua", "#!lua flags=allow-stale"))).len(), 1);
    let glued = head.replace("return 1", "return redis.call('GET', 'cap:' .. ARGV[1])");
    assert_eq!(faults(&tree::of("lua/a.lua", &glued)), ["lua/a.lua: it glues a key together: 'cap:' .. ARGV[1]"]);
    for part in CONTRACT {
        let without = head.replace(part, "It");
        assert_eq!(faults(&tree::of("lua/a.lua", &without)), [format!("lua/a.lua: its head does not say `{part}`")]);
    }
}
