//! This module reads and writes `settings.env`, the settings that `warmup local` saves in its data folder.
//! Environment variables override them.

use std::{collections::BTreeMap, fs, io, path::Path, path::PathBuf};

use super::{HomeError, fault, file};
use crate::config::{SettingErrors, env_file};

const NAME: &str = "settings.env";

/// Returns the path of the file in `folder`, which may not exist.
pub fn settings_file(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Returns the settings that are saved in `folder`, overridden by `vars`.
///
/// Returns an error if the file can't be read or parsed.
pub fn with_saved(folder: &Path, vars: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, SettingErrors> {
    let path = settings_file(folder);
    if !path.exists() {
        return Ok(vars);
    }
    let mut all = env_file(&path)?;
    all.extend(vars.into_iter().filter(|(_, value)| !value.trim().is_empty()));
    Ok(all)
}

/// Saves `lines`, each `NAME=value`, in `folder`, and replaces earlier lines of equal names.
pub fn save_settings(folder: &Path, lines: &[String]) -> Result<(), HomeError> {
    let path = settings_file(folder);
    let known = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.map_err(fault(&path, "reading it"))?,
    };
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let replaced: Vec<_> = lines.iter().filter_map(|line| name(line)).collect();
    let kept = known.lines().filter(|line| name(line).is_none_or(|name| !replaced.contains(&name)));
    let mut text: String = kept.map(|line| format!("{line}\n")).collect();
    lines.iter().for_each(|line| text += &format!("{line}\n"));
    file::write(folder, NAME, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_line_replaces_its_name_and_keeps_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(settings_file(folder.path()), "# mine\nWARMUP_SHARDS=64\nWARMUP_USER_HOURLY_LIMIT=500\n").unwrap();
        save_settings(folder.path(), &["WARMUP_USER_HOURLY_LIMIT=2668".to_owned()]).unwrap();
        let text = fs::read_to_string(settings_file(folder.path())).unwrap();
        assert_eq!(text, "# mine\nWARMUP_SHARDS=64\nWARMUP_USER_HOURLY_LIMIT=2668\n");
    }

    #[test]
    fn the_environment_goes_before_what_is_saved() {
        let folder = tempfile::tempdir().unwrap();
        let environment = |value: &str| [("WARMUP_SHARDS".to_owned(), value.to_owned())].into();
        assert_eq!(with_saved(folder.path(), environment("8")).unwrap()["WARMUP_SHARDS"], "8");
        save_settings(folder.path(), &["WARMUP_SHARDS=64".to_owned()]).unwrap();
        assert_eq!(with_saved(folder.path(), environment("8")).unwrap()["WARMUP_SHARDS"], "8");
        assert_eq!(with_saved(folder.path(), environment(" ")).unwrap()["WARMUP_SHARDS"], "64");
    }
}
