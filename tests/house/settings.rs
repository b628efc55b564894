//! Settings live in `config`: nothing else reads the environment, and no document names one that does not exist.

use std::collections::BTreeSet;

use super::tree::{self, Tree, production};

/// What reads the environment: std's functions, their macro cousins, and clap's attribute.
const READERS: [&str; 5] = ["env::var", "env::vars", "option_env!", "env = \"", "dotenv"];

/// Returns every place outside `config` that reads the environment.
fn readers(tree: &Tree) -> Vec<String> {
    let outside = tree.iter().filter(|(path, _)| !of_config(path) && !path.ends_with("/tests.rs"));
    let reads = outside.filter_map(|(path, text)| {
        let code = production(text);
        let reader = READERS.iter().find(|reader| code.contains(**reader))?;
        Some(format!("{path}: `{reader}` reads the environment: make it a setting"))
    });
    reads.collect()
}

/// Returns every setting that a document names and `config` does not.
fn unknown(config: &Tree, documents: &Tree) -> Vec<String> {
    let code = config.iter().filter(|(path, _)| of_config(path) && !path.ends_with("tests.rs"));
    // Tests misspell names on purpose.
    let untested = code.map(|(_, text)| text.split("#[cfg(test)]").next().expect("split yields at least one"));
    let known: BTreeSet<String> = untested.flat_map(settings_in).collect();
    let named = documents.iter().flat_map(|(path, text)| settings_in(text).into_iter().map(move |name| (path, name)));
    named
        .filter(|(_, name)| !known.contains(name))
        .map(|(path, name)| format!("{path}: `{name}` is no setting"))
        .collect()
}

fn of_config(path: &str) -> bool {
    path == "src/config.rs" || path.starts_with("src/config/")
}

/// Returns the names of settings in a text. A prefix such as `WARMUP_*` is none.
fn settings_in(text: &str) -> BTreeSet<String> {
    let letter = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    let words = text.split(|other: char| !letter(other));
    words.filter(|word| word.starts_with("WARMUP_") && !word.ends_with('_')).map(str::to_owned).collect()
}

#[test]
fn only_config_reads_the_environment() {
    let found = readers(&tree::read(&["src"]));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn documents_name_no_unknown_setting() {
    let pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs"];
    let documents = tree::read(&[&pages[..], &["deploy", "k8s", "Makefile", "scripts", ".ci"]].concat());
    let found = unknown(&tree::read(&["src/config.rs", "src/config"]), &documents);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Returns every setting that stands in only one of the table and the example of a `.env` file.
fn drifted(table: &str, example: &str) -> Vec<String> {
    let untested = table.split("#[cfg(test)]").next().expect("split yields at least one");
    let (table, example) = (settings_in(untested), settings_in(example));
    table.symmetric_difference(&example).cloned().collect()
}

#[test]
fn the_example_names_every_setting_and_no_other() {
    let tree = tree::read(&["src/config/table.rs", ".env.example"]);
    let (table, example) = (&tree["src/config/table.rs"], &tree[".env.example"]);
    assert_eq!(drifted(table, example), Vec::<String>::new());
    assert!(settings_in(example).len() > 40 && example.contains("\nDATABASE_URL=") && example.contains("\nREDIS_URL="));
}

#[test]
fn the_chart_can_set_every_setting_and_no_other() {
    let table = &tree::read(&["src/config/table.rs"])["src/config/table.rs"];
    let chart: Vec<String> = tree::read(&["k8s"]).into_values().collect();
    // It is of `warmup local`, which brings servers of its own.
    assert_eq!(drifted(table, &chart.join("\n")), ["WARMUP_DATA_DIR"]);
}

#[test]
fn compose_can_set_every_setting_and_no_other() {
    let tree = tree::read(&["src/config/table.rs", "deploy/compose.yaml", "deploy/env/medium.env"]);
    let [table, compose, sized] =
        ["src/config/table.rs", "deploy/compose.yaml", "deploy/env/medium.env"].map(|file| &tree[file]);
    let lines = compose.lines().chain(sized.lines()).filter(|line| !line.trim_start().starts_with('#'));
    let carried = lines.collect::<Vec<_>>().join("\n");
    // Compose gives secrets as they are, publishes one port, and starts each replica with these variables; the data directory
    // is of `warmup local`.
    let other = [
        "WARMUP_ADMIN_TOKEN_FILE",
        "WARMUP_DATA_DIR",
        "WARMUP_HTTP_ADDR",
        "WARMUP_MASTER_KEY_FILE",
        "WARMUP_WORKER_ID",
    ];
    assert_eq!(drifted(table, &carried), other);
}

#[test]
fn a_setting_that_stands_in_one_place_only_is_found() {
    assert_eq!(drifted("\"WARMUP_SHARDS\" \"WARMUP_NEW\"", "# WARMUP_SHARDS=256"), ["WARMUP_NEW"]);
    assert_eq!(drifted("\"WARMUP_SHARDS\"", "# WARMUP_SHARDS=256\n# WARMUP_OLD=1"), ["WARMUP_OLD"]);
}

#[test]
fn a_read_of_the_environment_is_found() {
    let wrong = [
        "let key = std::env::var(\"WARMUP_MASTER_KEY\");",
        "for (name, value) in env::vars_os() {}",
        "#[arg(long, env = \"DATABASE_URL\")]",
    ];
    for text in wrong {
        assert_eq!(readers(&tree::of("src/cli/run.rs", text)).len(), 1, "{text}");
        assert_eq!(readers(&tree::of("src/config/environment.rs", text)), Vec::<String>::new());
    }
    assert_eq!(readers(&tree::of("src/cli/run.rs", "// not env::var")), Vec::<String>::new());
}

#[test]
fn a_setting_that_does_not_exist_is_found() {
    let table = "\"WARMUP_SHARDS\"\n#[cfg(test)]\nmod tests { \"WARMUP_SHRADS\" }";
    let config = tree::of("src/config/table.rs", table);
    let page = |text| tree::of("docs/CONFIG.md", text);
    assert_eq!(unknown(&config, &page("Set `WARMUP_SHARDS` or any other WARMUP_* name.")), Vec::<String>::new());
    assert_eq!(unknown(&config, &page("Set WARMUP_SHRADS.")), ["docs/CONFIG.md: `WARMUP_SHRADS` is no setting"]);
}
