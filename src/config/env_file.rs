//! Settings from a file that is written like `.env.example`.

use std::{collections::BTreeMap, path::Path};

use super::Faults;

/// Reads the names and values of the file at `path`.
///
/// Returns a fault when it can't be read, or a line of it not understood. Values may be secrets: none is ever shown.
pub fn env_file(path: &Path) -> Result<BTreeMap<String, String>, Faults> {
    let name = || path.display().to_string();
    let unreadable = |error: &dyn std::fmt::Display| {
        Faults::one(&name(), format!("can't be read: {error}"), "name a file that is written like .env.example")
    };
    let lines = dotenvy::from_path_iter(path).map_err(|error| unreadable(&error))?;
    let lines = lines.map(|line| {
        line.map_err(|error| match error {
            dotenvy::Error::LineParse(line, _) => {
                let wrong = format!("the line of `{}` is not understood", before_the_value(&line));
                Faults::one(&name(), wrong, "write NAME=value, with quotes around a value that has blanks")
            }
            error => unreadable(&error),
        })
    });
    lines.collect()
}

fn before_the_value(line: &str) -> &str {
    line.split(['=', ' ', ':']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, String>, Faults> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        env_file(file.path())
    }

    #[test]
    fn names_and_values_are_read_and_notes_are_not() {
        let vars = read("# a note\nWARMUP_SHARDS=64\n\nexport WARMUP_HEADER=\"X-Mine\"\n").unwrap();
        assert_eq!((vars["WARMUP_SHARDS"].as_str(), vars["WARMUP_HEADER"].as_str(), vars.len()), ("64", "X-Mine", 2));
    }

    #[test]
    fn a_line_that_is_not_understood_is_named_without_its_value() {
        let said = read("WARMUP_ADMIN_TOKEN=hunter 2\n").unwrap_err().to_string();
        assert!(
            said.contains("the line of `WARMUP_ADMIN_TOKEN` is not understood") && !said.contains("hunter"),
            "{said}"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_a_fault() {
        let said = env_file(Path::new("/nowhere/large.env")).unwrap_err().to_string();
        assert!(said.contains("/nowhere/large.env") && said.contains("can't be read"), "{said}");
    }
}
