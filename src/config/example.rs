//! This module writes `.env.example` from the table. `warmup config doc --env` prints it, and a test compares
//! the file.

use super::{row::Row, table::rows};

const HEAD: &str = "\
# Settings of warmup, each with what it is, its legal values and its default.
# Written by `warmup config doc --env > .env.example`; a test compares.
#
# Copy it to .env, fill in the secrets, take the `# ` away before what you change, and keep the file to yourself (chmod
# 600). For a shell: `set -a; . ./.env; set +a`; for systemd `EnvironmentFile=`; for Docker `--env-file`. An empty value
# counts as not set. `warmup config check` lists every fault at once.
";

/// Returns the content of the file.
pub fn env_example() -> String {
    let mut file = HEAD.to_owned();
    let rows = rows();
    for group in rows.chunk_by(|a, b| a.group == b.group) {
        file += &format!("\n#\n# {}\n#\n", group[0].group);
        group.iter().for_each(|row| file += &setting(row));
    }
    file
}

/// Returns the lines of one setting. A secret has only its name, to be filled in. Another setting has its
/// default as a comment, so that a copy of this file does not fix the defaults of this release.
fn setting(row: &Row) -> String {
    let Row { name, sentence, default, facts, .. } = row;
    let kind = if facts.secret { format!("{}, secret", facts.word) } else { facts.word.to_owned() };
    let unit = if facts.unit.is_empty() { String::new() } else { format!(" {}", facts.unit) };
    let default_is = if default.is_empty() { "not set".to_owned() } else { format!("{default}{unit}") };
    let mark = if facts.secret { "" } else { "# " };
    format!("\n# {sentence}\n# {kind}: {}{unit}; default: {default_is}\n{mark}{name}={default}\n", facts.range)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Settings;

    #[test]
    fn the_example_is_what_the_table_says() {
        let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap_or_default();
        assert!(file == env_example(), ".env.example is old: warmup config doc --env > .env.example");
    }

    /// Returns the assignments of the file, including those in comments.
    fn assignments() -> BTreeMap<String, String> {
        let name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        let text = env_example();
        let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
        lines
            .filter_map(|line| line.split_once('=').filter(|(key, _)| name(key)))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn every_setting_stands_in_it_once_and_is_read_back_as_its_default() {
        let assigned = assignments();
        assert_eq!(assigned.len(), rows().len());
        let (settings, _) = Settings::from_vars(&assigned).unwrap();
        assert!(settings.overrides().is_empty());
    }

    #[test]
    fn secrets_are_empty_and_say_how_they_are_made() {
        let text = env_example();
        for row in rows().into_iter().filter(|row| row.facts.secret) {
            assert!(text.contains(&format!("\n{}=\n", row.name)), "{}", row.name);
        }
        assert!(text.contains("openssl rand -base64 32") && text.contains("openssl rand -hex 32"));
    }
}
