//! This module chooses the data folder of the private servers if `WARMUP_DATA_DIR` is not set.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Settings, row::env_value};

/// The data folder of root. Root's home is closed to the user of root's servers, and a service's data belongs
/// here.
const OF_ROOT: &str = "/var/lib/warmup";

impl Settings {
    /// Returns `WARMUP_DATA_DIR`, or else the user's data folder by freedesktop.org's base directory
    /// specification; for `root` the system's folder. Returns `None` if `vars` name no home.
    pub fn data_folder(&self, vars: &BTreeMap<String, String>, root: bool) -> Option<PathBuf> {
        let absolute = |name| env_value(vars, name).map(PathBuf::from).filter(|path| path.is_absolute());
        let of_user = || match root {
            true => Some(PathBuf::from(OF_ROOT)),
            false => Some(absolute("HOME")?.join(".local/share/warmup")),
        };
        let of_data_home = || Some(absolute("XDG_DATA_HOME")?.join("warmup"));
        self.data_dir.clone().or_else(of_data_home).or_else(of_user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(given: &[(&str, &str)], root: bool) -> Option<String> {
        let vars = given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let (settings, _) = Settings::from_vars(&vars).unwrap();
        settings.data_folder(&vars, root).map(|path| path.display().to_string())
    }

    #[test]
    fn the_data_folder_is_said_or_the_users_or_roots() {
        let (home, data) = (("HOME", "/home/ada"), ("XDG_DATA_HOME", "/data"));
        assert_eq!(folder(&[home, data, ("WARMUP_DATA_DIR", "here")], false).as_deref(), Some("here"));
        assert_eq!(folder(&[home, data], false).as_deref(), Some("/data/warmup"));
        assert_eq!(folder(&[home], false).as_deref(), Some("/home/ada/.local/share/warmup"));
        assert_eq!(folder(&[home, ("XDG_DATA_HOME", "not/absolute")], true).as_deref(), Some("/var/lib/warmup"));
        assert_eq!(folder(&[], false), None);
    }
}
