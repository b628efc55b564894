//! This module lists the settings for operators: every setting with its source, and those that differ from
//! their default. A secret is only shown as `set` or `not set`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Settings,
    row::{Row, env_value},
    table::rows,
};

/// The source of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Default,
    Environment,
}

/// One setting as `warmup config show` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingValue {
    pub name: &'static str,
    /// The value, or `None` if it is unset and has no default. A secret is `set` or `not set`.
    pub value: Option<String>,
    /// The unit; empty without one.
    pub unit: &'static str,
    pub source: Source,
}

/// A setting whose value is not its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub name: &'static str,
    pub value: String,
    pub default: String,
}

impl Settings {
    /// Returns every setting in the order of the table; `vars` is the environment from which the settings
    /// were read.
    pub fn listing(&self, vars: &BTreeMap<String, String>) -> Vec<SettingValue> {
        let source = |name| if env_value(vars, name).is_some() { Source::Environment } else { Source::Default };
        let shown = |row: Row| {
            let value = (row.value)(self);
            let value = match (value.is_empty(), row.facts.secret) {
                (false, _) => Some(value),
                (true, true) => Some("not set".to_owned()),
                (true, false) => None,
            };
            SettingValue { name: row.name, value, unit: row.facts.unit, source: source(row.name) }
        };
        rows().into_iter().map(shown).collect()
    }

    /// Returns the settings that differ from their default, in the order of the table.
    pub fn overrides(&self) -> Vec<Override> {
        let or_not_set = |text: &str| if text.is_empty() { "not set".to_owned() } else { text.to_owned() };
        let differs = |row: Row| {
            let value = (row.value)(self);
            let (name, default) = (row.name, or_not_set(row.default));
            (value != row.default).then(|| Override { name, value: or_not_set(&value), default })
        };
        rows().into_iter().filter_map(differs).collect()
    }
}
