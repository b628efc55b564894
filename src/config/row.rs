//! This module defines one row of the table, and the reader that takes the values of all rows from the
//! environment and collects every error.

use std::collections::BTreeMap;

use super::{
    SettingErrors, Settings,
    kind::{Kind, KindDoc},
};

/// The description of one setting.
pub(crate) struct Row {
    pub group: &'static str,
    pub name: &'static str,
    /// The default as it would be written; empty if the setting is optional.
    pub default: &'static str,
    pub sentence: &'static str,
    pub(super) facts: KindDoc,
    /// Returns the current value: `set` for a secret, and an empty text for an unset setting.
    pub value: fn(&Settings) -> String,
}

/// A reader of the environment. For a faulty value it adds an error and returns the default, so that it finds
/// all errors.
pub(super) struct Reader<'a> {
    pub vars: &'a BTreeMap<String, String>,
    pub faults: SettingErrors,
}

impl Reader<'_> {
    pub(super) fn take<K: Kind>(&mut self, name: &str, kind: &K, default: &str) -> K::Value {
        if let Some(text) = env_value(self.vars, name) {
            match kind.read(text) {
                // Bytes that are not UTF-8 arrive as this character.
                _ if text.contains(char::REPLACEMENT_CHARACTER) => {
                    self.faults.add(name, "is not UTF-8", "write it in UTF-8")
                }
                Ok(value) => return value,
                Err(wrong) => self.fault(name, text, wrong, &kind.facts(), default),
            }
        }
        kind.read(default).expect("every default is legal: a test reads them all")
    }

    fn fault(&mut self, name: &str, text: &str, wrong: &str, facts: &KindDoc, default: &str) {
        let wrong =
            if facts.secret { format!("the value {wrong}") } else { format!("`{}` {wrong}", text.escape_debug()) };
        // A kind without a unit describes its values itself.
        let example = if facts.unit.is_empty() { String::new() } else { format!(", for example {default}") };
        self.faults.add(name, wrong, format!("write {}{example}", facts.write));
    }
}

/// Returns the value of `name` without the blanks around it; an empty value counts as unset.
pub(super) fn env_value<'a>(vars: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    vars.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Turns the table into the typed `Settings`, their reader, and the rows for documentation and output.
///
/// A row begins with the sentence as a doc comment. The field, its type, `=` and the name in the environment
/// follow. The last parts are the default as it would be written (empty for an optional setting), and the kind
/// with unit and range.
macro_rules! settings {
    ($(
        $group:literal {
            $( $(#[doc = $sentence:literal])+ $field:ident: $type:ty = $name:literal, $default:literal, $kind:expr; )+
        }
    )+) => {
        /// Every setting, typed: the environment as all other modules see it.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(
                $(#[doc = $sentence])+
                #[doc = concat!("\n\nSet by `", $name, "`.")]
                pub $field: $type,
            )+)+
        }

        impl Settings {
            pub(super) fn read(reader: &mut Reader<'_>) -> Settings {
                Settings { $($( $field: reader.take($name, &$kind, $default), )+)+ }
            }
        }

        /// Returns the rows of the table in its order.
        pub(crate) fn rows() -> Vec<Row> {
            vec![$($(
                Row {
                    group: $group,
                    name: $name,
                    default: $default,
                    sentence: concat!($($sentence),+).trim(),
                    facts: $kind.facts(),
                    value: |settings| $kind.show(&settings.$field),
                },
            )+)+]
        }
    };
}

pub(super) use settings;
