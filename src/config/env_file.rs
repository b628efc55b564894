//! This module reads settings from a file in the format of `.env.example`.

use std::{collections::BTreeMap, path::Path};

use super::SettingErrors;

/// Reads the names and values of the file at `path`.
///
/// Returns an error if the file can't be read, or if it has an invalid line. The line may hold a secret, so
/// the error shows only the name before it.
pub fn env_file(path: &Path) -> Result<BTreeMap<String, String>, SettingErrors> {
    let unreadable = |error: &dyn std::fmt::Display| {
        let instead = "name a file that is written like .env.example";
        SettingErrors::one(&path.display().to_string(), format!("can't be read: {error}"), instead)
    };
    let mut vars = BTreeMap::new();
    let mut place = "its first line".to_owned();
    for line in dotenvy::from_path_iter(path).map_err(|error| unreadable(&error))? {
        let (name, value) = line.map_err(|error| match error {
            dotenvy::Error::LineParse(..) => {
                let instead = "write NAME=value, with quotes around a value that has blanks";
                SettingErrors::one(&path.display().to_string(), format!("{place} is not understood"), instead)
            }
            error => unreadable(&error),
        })?;
        place = format!("the line after {name}");
        vars.insert(name, value);
    }
    Ok(vars)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, String>, SettingErrors> {
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
    fn a_line_that_is_not_understood_is_found_and_not_shown() {
        let said = read("WARMUP_SHARDS=64\nWARMUP_ADMIN_TOKEN=hunter 2\n").unwrap_err().to_string();
        assert!(said.contains("the line after WARMUP_SHARDS is not understood"), "{said}");
        assert!(!said.contains("hunter"), "{said}");
        let said = read("hunter 2\n").unwrap_err().to_string();
        assert!(said.contains("its first line is not understood") && !said.contains("hunter"), "{said}");
    }

    #[test]
    fn a_file_that_is_not_there_is_a_fault() {
        let said = env_file(Path::new("/nowhere/large.env")).unwrap_err().to_string();
        assert!(said.contains("/nowhere/large.env") && said.contains("can't be read"), "{said}");
    }
}
