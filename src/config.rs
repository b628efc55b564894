//! Layer 1: the settings.
//!
//! `table` is the one place where a setting is named; everything else comes from it or judges it:
//!
//! ```text
//!   environment ─▶ row (reader) ─▶ kind (number, text) ─▶ Settings ─▶ rules ─▶ warnings (carry: the arithmetic)
//!                      └────────────── names (unknown ones) ─▶ all Faults at once
//! ```
//!
//! The environment comes in as a map, so that tests and the demo bring their own.

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

/// How the program's own log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For a collector: one object a line.
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

/// Returns the environment of this process. What is not UTF-8 in it is marked, and is a fault where a setting uses it.
pub fn environment() -> BTreeMap<String, String> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

impl Settings {
    /// Reads the settings from `vars`, and returns them with the warnings that they give.
    ///
    /// Returns every fault at once: values that can't be read or are out of range, unknown `WARMUP_*` names, broken
    /// rules between settings.
    pub fn from_vars(vars: &BTreeMap<String, String>) -> Result<(Settings, Vec<Warning>), SettingErrors> {
        let (settings, faults) = Settings::judged(vars);
        let warnings = warnings::of(&settings);
        faults.or((settings, warnings))
    }

    /// Reads the settings as `from_vars` does, reads the secrets that stand in files, and opens every other file: one that can't be read is a fault,
    /// and so is each fault of the templates and of the host limits.
    pub fn with_files(vars: &BTreeMap<String, String>) -> Result<(Settings, Vec<Warning>), SettingErrors> {
        let (mut settings, mut faults) = Settings::judged(vars);
        settings.read_secret_files(&mut faults);
        settings.open_files(&mut faults);
        let mut warnings = warnings::of(&settings);
        warnings.extend(settings.read_templates(&mut faults));
        settings.judge_host_limits(&mut faults);
        faults.or((settings, warnings))
    }

    /// Returns the warnings that the settings alone give, without knowing who is enrolled.
    pub fn warnings(&self) -> Vec<Warning> {
        warnings::of(self)
    }

    /// Returns the settings, with defaults in the place of faulty values, and all faults.
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

    /// The deadline of a whole mail, from connecting to its verdict: 5/6 of the drain's, so that a stopping worker can
    /// finish the mail that it began last, and has a sixth left to settle it and give its shards back.
    pub fn mail_deadline(&self) -> Duration {
        self.drain_timeout * 5 / 6
    }

    /// Returns the URL of the database, or the fault that it is not set.
    pub fn require_database(&self) -> Result<&SecretString, SettingErrors> {
        self.database_url.as_ref().ok_or_else(|| {
            let instead = "start `warmup local`, or write postgres://user:password@host:5432/database";
            SettingErrors::one("DATABASE_URL", "is not set", instead)
        })
    }

    /// Returns the URL of Redis, or the fault that it is not set.
    pub fn require_redis(&self) -> Result<&SecretString, SettingErrors> {
        self.redis_url.as_ref().ok_or_else(|| {
            let instead = "write redis://user:password@host:6379/0";
            SettingErrors::one("REDIS_URL", "is not set", instead)
        })
    }

    /// Returns the key under which passwords are sealed, or the fault that it is not set.
    pub fn require_master_key(&self) -> Result<&MasterKey, SettingErrors> {
        self.master_key.as_ref().ok_or_else(|| {
            let instead = "make one with `openssl rand -base64 32`, keep it safe, and use the same one on every worker";
            SettingErrors::one("WARMUP_MASTER_KEY", "is not set", instead)
        })
    }

    /// Returns the names of the settings without which `warmup run` does not start, and which are not set.
    pub fn missing_to_run(&self) -> Vec<String> {
        let missing = [self.require_database().err(), self.require_redis().err(), self.require_master_key().err()];
        missing.iter().flatten().flat_map(SettingErrors::iter).map(|fault| fault.name.clone()).collect()
    }

    /// Returns `Ok` when everything is set without which a worker does not start, or all that is missing at once.
    pub fn require_all(&self) -> Result<(), SettingErrors> {
        let missing = [self.require_database().err(), self.require_redis().err(), self.require_master_key().err()];
        missing.into_iter().flatten().fold(SettingErrors::default(), SettingErrors::and).or(())
    }

    /// Returns `Ok` when no server is named, or the faults: `warmup local` brings its own.
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

    /// Returns what is to be warned of in the file of templates. One that can't be opened is a fault already.
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
