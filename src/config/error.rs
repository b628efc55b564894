//! This module defines the errors and the warnings of a configuration. With an error nothing starts. A
//! warning marks a legal setting that will not have the intended effect; the program follows it.

use std::fmt;

/// One error: the setting, the problem of its value, and the text to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    pub name: String,
    pub wrong: String,
    pub instead: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.name, self.wrong, self.instead)
    }
}

/// All errors of a configuration at once, one per line. The exit status is 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingErrors(Vec<SettingError>);

impl SettingErrors {
    pub(super) fn one(name: &str, wrong: impl Into<String>, instead: impl Into<String>) -> SettingErrors {
        let mut faults = SettingErrors::default();
        faults.add(name, wrong, instead);
        faults
    }

    pub(super) fn add(&mut self, name: &str, wrong: impl Into<String>, instead: impl Into<String>) {
        self.0.push(SettingError { name: name.to_owned(), wrong: wrong.into(), instead: instead.into() });
    }

    /// Returns true if an error of the setting `name` is already known.
    pub(super) fn name(&self, name: &str) -> bool {
        self.0.iter().any(|fault| fault.name == name)
    }

    pub(super) fn and(mut self, mut others: SettingErrors) -> SettingErrors {
        self.0.append(&mut others.0);
        self
    }

    /// Returns true if there is no error.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the errors in the order of the table of settings.
    pub fn iter(&self) -> impl Iterator<Item = &SettingError> {
        self.0.iter()
    }

    /// Returns `Ok(value)` if there is no error, or else these errors.
    pub(super) fn or<T>(self, value: T) -> Result<T, SettingErrors> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a fault")?,
            n => write!(f, "the configuration has {n} faults")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for SettingErrors {}

/// A legal setting that will not have the intended effect, with the arithmetic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub name: &'static str,
    pub text: String,
    /// The sufficient value of the setting, if a number suffices.
    pub needed: Option<u32>,
}

impl Warning {
    pub(crate) fn new(name: &'static str, text: impl Into<String>) -> Warning {
        Warning { name, text: text.into(), needed: None }
    }

    /// Returns the line to set, `NAME=value`, if a number suffices.
    pub fn line(&self) -> Option<String> {
        self.needed.map(|needed| format!("{}={needed}", self.name))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}
