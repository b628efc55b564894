//! Floor 1: the settings. One table (`config/table.rs`) names each of them; all else follows from it.
//!
//! A configuration is read whole: every fault is reported at once, and what is legal but self-defeating is a warning
//! with its arithmetic. The environment comes in as a map, so that tests, the demo and `warmup local` pass their own.

mod carry;
mod document;
mod fault;
mod kind;
mod names;
mod row;
mod rules;
mod secret;
mod table;
mod warnings;

use std::{collections::BTreeMap, fmt, time::Duration};

pub use document::markdown;
pub use fault::{Fault, Faults, Warning};
pub(crate) use row::Row;
use secrecy::SecretString;
pub use secret::MasterKey;
pub use table::Settings;
pub(crate) use table::rows;

use self::row::{Reader, given};

/// How the program's own log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}

/// A setting that differs from its default, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub name: &'static str,
    /// `set` for a secret.
    pub value: String,
    /// Empty where there is none.
    pub default: &'static str,
}

impl Settings {
    /// Reads the settings from `vars`, names to values; an empty value counts as not set.
    ///
    /// Returns every fault at once, or the settings with what is legal and self-defeating about them.
    pub fn from_vars(vars: &BTreeMap<String, String>) -> Result<(Settings, Vec<Warning>), Faults> {
        let mut reader = Reader { vars, faults: Faults::default() };
        let settings = Settings::read(&mut reader);
        let mut faults = reader.faults;
        rules::judge(&settings, &mut faults);
        names::unknown(vars, &mut faults);
        let warnings = warnings::of(&settings);
        faults.or((settings, warnings))
    }

    /// Reads the settings from the environment of this process.
    pub fn from_env() -> Result<(Settings, Vec<Warning>), Faults> {
        Settings::from_vars(&environment())
    }

    /// Returns what differs from its default, in the order of the table.
    pub fn overrides(&self) -> Vec<Override> {
        let differing = |row: Row| {
            let value = (row.value)(self);
            (value != row.default).then_some(Override { name: row.name, value, default: row.default })
        };
        rows().into_iter().filter_map(differing).collect()
    }

    /// The deadline of a whole mail: five sixths of the drain's, so that a stopping worker can finish and settle it.
    pub fn mail_deadline(&self) -> Duration {
        self.drain_timeout * 5 / 6
    }

    /// Returns what the caps and lanes can't carry of `quota` mails a day over all `mailboxes`, of which the largest
    /// user owes `largest_user`.
    pub fn warnings_for(&self, quota: u64, mailboxes: u64, largest_user: u64) -> Vec<Warning> {
        warnings::of_quota(self, quota, mailboxes, largest_user)
    }

    /// Returns `DATABASE_URL`, or the fault that it is not set.
    pub fn require_database(&self) -> Result<&SecretString, Faults> {
        let instead = "write postgres://user:password@host:5432/database";
        self.database_url.as_ref().ok_or_else(|| Faults::one("DATABASE_URL", "is not set", instead))
    }

    /// Returns `REDIS_URL`, or the fault that it is not set.
    pub fn require_redis(&self) -> Result<&SecretString, Faults> {
        let instead = "write redis://host:6379/0";
        self.redis_url.as_ref().ok_or_else(|| Faults::one("REDIS_URL", "is not set", instead))
    }

    /// Returns `WARMUP_MASTER_KEY`, or the fault that it is not set.
    pub fn require_master_key(&self) -> Result<&MasterKey, Faults> {
        let instead = "make one with `openssl rand -base64 32`, once, and keep it: passwords are sealed under it";
        self.master_key.as_ref().ok_or_else(|| Faults::one("WARMUP_MASTER_KEY", "is not set", instead))
    }
}

/// The environment, what is not UTF-8 in it marked as such.
pub(crate) fn environment() -> BTreeMap<String, String> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect()
}

/// Says whether `name` has a value in `vars`.
pub(crate) fn is_given(vars: &BTreeMap<String, String>, name: &str) -> bool {
    given(vars, name).is_some()
}

#[cfg(test)]
mod tests;
