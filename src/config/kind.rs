//! A `Kind` defines how one kind of value is read, shown and described.
//!
//! The error of a value is a `&'static str`. So no kind can copy the value itself, which may be a secret,
//! into a message.

mod number;
mod redis;
mod text;

pub(super) use number::{decimal, milliseconds, minutes, whole};
pub(super) use redis::redis_url;
pub(super) use text::{
    active_hours, choice, database_url, file, folder, header, helo_name, master_key, name, prefix, socket, time_zone,
    token,
};

/// One kind of value.
pub(super) trait Kind {
    type Value;

    /// Parses a value as people write it. The error completes the sentence "`value` ...".
    fn read(&self, text: &str) -> Result<Self::Value, &'static str>;

    /// Returns a value in the form that `read` accepts. A secret is shown as `set`; an unset value is empty.
    fn show(&self, value: &Self::Value) -> String;

    fn facts(&self) -> KindDoc;
}

/// The description of a kind for the documentation and the errors.
#[derive(Clone, Debug)]
pub(super) struct KindDoc {
    /// The type in one or two words.
    pub word: &'static str,
    /// The unit; empty without one.
    pub unit: &'static str,
    /// The legal values.
    pub range: String,
    /// The instruction that completes "write ...".
    pub write: String,
    pub secret: bool,
}

/// A setting that may be left out.
pub(super) struct Optional<K>(K);

pub(super) fn optional<K: Kind>(kind: K) -> Optional<K> {
    Optional(kind)
}

impl<K: Kind> Kind for Optional<K> {
    type Value = Option<K::Value>;

    fn read(&self, text: &str) -> Result<Self::Value, &'static str> {
        if text.is_empty() { Ok(None) } else { self.0.read(text).map(Some) }
    }

    fn show(&self, value: &Self::Value) -> String {
        value.as_ref().map(|value| self.0.show(value)).unwrap_or_default()
    }

    fn facts(&self) -> KindDoc {
        self.0.facts()
    }
}

/// A yes or no.
pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn read(&self, text: &str) -> Result<bool, &'static str> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("is neither yes nor no"),
        }
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }

    fn facts(&self) -> KindDoc {
        let write = "true or false (also yes, no, on, off, 1, 0)".to_owned();
        KindDoc { word: "yes or no", unit: "", range: "true, false".to_owned(), write, secret: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_are_read_as_people_write_them() {
        for (texts, value) in [(["true", "1", "YES", "on"], true), (["False", "0", "no", "OFF"], false)] {
            assert!(texts.iter().all(|text| Flag.read(text) == Ok(value)), "{texts:?}");
        }
        assert!(Flag.read("2").is_err() && Flag.read("").is_err());
    }

    #[test]
    fn what_may_be_left_out_shows_nothing_when_it_is() {
        let kind = optional(Flag);
        assert_eq!(kind.read(""), Ok(None));
        assert_eq!((kind.show(&None), kind.show(&Some(true))), (String::new(), "true".to_owned()));
    }
}
