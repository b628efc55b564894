//! The config layer (layer 1) reads, validates and documents the settings.
//!
//! The module `table` is the one place that names a setting; the other modules use the table or check its
//! values:
//!
//! ```text
//!   environment ─▶ row (reader) ─▶ kind (number, text) ─▶ Settings ─▶ rules ─▶ warnings (capacity: the arithmetic)
//!                      └────────────── names (unknown ones) ─▶ all errors at once
//! ```
//!
//! Callers pass the environment as a map, so that tests and the demo use their own.

mod capacity;
mod doc;
mod env_file;
mod error;
mod example;
mod folder;
mod hosts;
mod kind;
mod names;
mod needs;
mod row;
mod rules;
mod secret;
mod secret_file;
mod show;
mod table;
mod warnings;

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;

pub use doc::markdown;
pub use env_file::env_file;
pub use error::{SettingError, SettingErrors, Warning};
pub use example::env_example;
pub use needs::{Load, Need};
pub use secret::MasterKey;
pub use secret_file::RereadSecret;
pub use show::{Override, SettingValue, Source};
pub use table::Settings;
pub use warnings::{EnrolledLoad, HostLoad, OwnerLoad};

use crate::domain::content;

/// The format of the program's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// JSON for a log collector: one object per line.
    Json,
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

/// Returns the environment of this process. Bytes that are not UTF-8 become replacement characters, which are
/// an error in a setting.
pub fn environment() -> BTreeMap<String, String> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

impl Settings {
    /// Reads the settings from `vars`, and returns them with their warnings.
    ///
    /// Returns every error at once: values that are unreadable or out of range, unknown `WARMUP_*` names, and
    /// broken rules between settings.
    pub fn from_vars(vars: &BTreeMap<String, String>) -> Result<(Settings, Vec<Warning>), SettingErrors> {
        let (settings, faults) = Settings::judged(vars);
        let warnings = warnings::of(&settings);
        faults.or((settings, warnings))
    }

    /// Reads the settings as `from_vars` does, reads the secrets in files, and opens every other file. An
    /// unreadable file is an error, and so is each error in the templates and in the host limits.
    pub fn with_files(vars: &BTreeMap<String, String>) -> Result<(Settings, Vec<Warning>), SettingErrors> {
        let (mut settings, mut faults) = Settings::judged(vars);
        settings.read_secret_files(&mut faults);
        settings.open_files(&mut faults);
        let mut warnings = warnings::of(&settings);
        warnings.extend(settings.read_templates(&mut faults));
        settings.judge_host_limits(&mut faults);
        faults.or((settings, warnings))
    }

    /// Returns the warnings that follow from the settings alone, without the enrolled mailboxes.
    pub fn warnings(&self) -> Vec<Warning> {
        warnings::of(self)
    }

    /// Returns the settings, with defaults for faulty values, and all errors.
    fn judged(vars: &BTreeMap<String, String>) -> (Settings, SettingErrors) {
        let mut reader = row::Reader { vars, faults: SettingErrors::default() };
        let settings = Settings::read(&mut reader);
        let mut faults = reader.faults;
        rules::judge(&settings, &mut faults);
        names::unknown(vars, &mut faults);
        (settings, faults)
    }

    /// Reads the settings from the environment, as `from_vars` does.
    pub fn from_env() -> Result<(Settings, Vec<Warning>), SettingErrors> {
        Settings::from_vars(&environment())
    }

    /// Returns the deadline of a whole mail, from connecting to its outcome. It is 5/6 of the drain timeout.
    /// So a stopping worker can finish the mail that it began last, and has a sixth left to settle it and
    /// release its shards.
    pub fn mail_deadline(&self) -> Duration {
        self.drain_timeout * 5 / 6
    }

    /// Returns the URL of the database, or an error if it is not set.
    pub fn require_database(&self) -> Result<&SecretString, SettingErrors> {
        self.database_url.as_ref().ok_or_else(|| {
            let instead = "start `warmup local`, or write postgres://user:password@host:5432/database";
            SettingErrors::one("DATABASE_URL", "is not set", instead)
        })
    }

    /// Returns the URL of Redis, or an error if it is not set.
    pub fn require_redis(&self) -> Result<&SecretString, SettingErrors> {
        self.redis_url.as_ref().ok_or_else(|| {
            let instead = "write redis://user:password@host:6379/0";
            SettingErrors::one("REDIS_URL", "is not set", instead)
        })
    }

    /// Returns the key that seals passwords, or an error if it is not set.
    pub fn require_master_key(&self) -> Result<&MasterKey, SettingErrors> {
        self.master_key.as_ref().ok_or_else(|| {
            let instead = "make one with `openssl rand -base64 32`, keep it safe, and use the same one on every worker";
            SettingErrors::one("WARMUP_MASTER_KEY", "is not set", instead)
        })
    }

    /// Returns the names of the unset settings that `warmup run` needs.
    pub fn missing_to_run(&self) -> Vec<String> {
        let missing = [self.require_database().err(), self.require_redis().err(), self.require_master_key().err()];
        missing.iter().flatten().flat_map(SettingErrors::iter).map(|fault| fault.name.clone()).collect()
    }

    /// Returns `Ok` if all settings that a worker needs are set, or all errors at once.
    pub fn require_all(&self) -> Result<(), SettingErrors> {
        let missing = [self.require_database().err(), self.require_redis().err(), self.require_master_key().err()];
        missing.into_iter().flatten().fold(SettingErrors::default(), SettingErrors::and).or(())
    }

    /// Returns `Ok` if the settings name no server, or the errors: `warmup local` brings its own servers.
    pub fn require_no_server(&self) -> Result<(), SettingErrors> {
        let named = [
            ("DATABASE_URL", self.database_url.is_some()),
            ("REDIS_URL", self.redis_url.is_some()),
            ("DATABASE_URL_FILE", self.database_url_file.is_some()),
            ("REDIS_URL_FILE", self.redis_url_file.is_some()),
        ];
        let mut faults = SettingErrors::default();
        for (name, _) in named.into_iter().filter(|(_, named)| *named) {
            faults.add(name, "is set, and `warmup local` brings servers of its own", "unset it, or use `warmup run`");
        }
        faults.or(())
    }

    fn open_files(&self, faults: &mut SettingErrors) {
        let files = [
            ("WARMUP_TLS_CA_FILE", &self.tls_ca_file),
            ("WARMUP_TEMPLATES_FILE", &self.templates_file),
            ("WARMUP_HOST_LIMITS_FILE", &self.host_limits_file),
        ];
        for (name, path) in files.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?))) {
            if let Err(error) = std::fs::File::open(path) {
                let wrong = format!("`{}` can't be read: {error}", path.display());
                faults.add(name, wrong, "write the path of a file that is there, or leave it out");
            }
        }
    }

    /// Returns the warnings about the file of templates. If the file can't be opened, the error is already
    /// listed.
    fn read_templates(&self, faults: &mut SettingErrors) -> Vec<Warning> {
        const NAME: &str = "WARMUP_TEMPLATES_FILE";
        let Some(bytes) = self.templates_file.as_ref().and_then(|path| std::fs::read(path).ok()) else {
            return Vec::new();
        };
        let Ok(text) = String::from_utf8(bytes) else {
            faults.add(NAME, "the file is not UTF-8", "save it as UTF-8");
            return Vec::new();
        };
        match content::read(&text) {
            Ok(read) => read.warnings.iter().map(|warning| Warning::new(NAME, warning.to_string())).collect(),
            Err(found) => {
                found
                    .iter()
                    .for_each(|fault| faults.add(NAME, fault.to_string(), "docs/TEMPLATES.md shows the format"));
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests;
