//! One row of the table, and the reader that takes the values of all rows from the environment, noting every fault.

use std::collections::BTreeMap;

use super::{
    SettingErrors, Settings,
    kind::{Kind, KindDoc},
};

/// What the table says about one setting.
pub(crate) struct Row {
    pub group: &'static str,
    pub name: &'static str,
    /// As it would be written; empty when the setting may be left out.
    pub default: &'static str,
    pub sentence: &'static str,
    pub(super) facts: KindDoc,
    /// Shows the value it has; of a secret only that it is set; empty when it is not set.
    pub value: fn(&Settings) -> String,
}

/// Takes values from the environment. A value with a fault is noted and its default stands in, so that the search for
/// faults goes on.
pub(super) struct Reader<'a> {
    pub vars: &'a BTreeMap<String, String>,
    pub faults: SettingErrors,
}

impl Reader<'_> {
    pub(super) fn take<K: Kind>(&mut self, name: &str, kind: &K, default: &str) -> K::Value {
        if let Some(text) = env_value(self.vars, name) {
            match kind.read(text) {
                // What is not UTF-8 arrives with this character in its place.
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
        // What has no unit says itself what a value looks like.
        let example = if facts.unit.is_empty() { String::new() } else { format!(", for example {default}") };
        self.faults.add(name, wrong, format!("write {}{example}", facts.write));
    }
}

/// Returns the value given for `name`, without the blanks around it; an empty one counts as not set.
pub(super) fn env_value<'a>(vars: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    vars.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Turns the table into the typed `Settings`, their reader, and the rows for documentation and output.
///
/// A row is: the sentence as a doc comment; field, type, `=`, the name in the environment, the default as it would be
/// written (empty when the setting may be left out), and the kind of its value with unit and range.
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

        /// The rows of the table in its order.
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
