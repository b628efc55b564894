//! This module parses values with a specific form: URLs, names, zones, addresses, paths and secrets.

use std::{net::SocketAddr, path::PathBuf};

use chrono_tz::Tz;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;

use super::{Kind, KindDoc};
use crate::{
    config::{LogFormat, MasterKey},
    domain::{content, helo_name::is_helo_name, time::Window},
};

/// A kind whose values are read and shown by functions.
pub(in crate::config) struct Text<T> {
    word: &'static str,
    write: &'static str,
    secret: bool,
    read: fn(&str) -> Result<T, &'static str>,
    show: fn(&T) -> String,
}

impl<T> Kind for Text<T> {
    type Value = T;

    fn read(&self, text: &str) -> Result<T, &'static str> {
        (self.read)(text)
    }

    fn show(&self, value: &T) -> String {
        if self.secret { "set".to_owned() } else { (self.show)(value) }
    }

    fn facts(&self) -> KindDoc {
        let Text { word, write, secret, .. } = *self;
        KindDoc { word, unit: "", range: write.to_owned(), write: write.to_owned(), secret }
    }
}

fn text<T: ToString>(word: &'static str, write: &'static str, read: fn(&str) -> Result<T, &'static str>) -> Text<T> {
    Text { word, write, secret: false, read, show: T::to_string }
}

pub(super) fn secret<T>(word: &'static str, write: &'static str, read: fn(&str) -> Result<T, &'static str>) -> Text<T> {
    Text { word, write, secret: true, read, show: |_| String::new() }
}

pub(in crate::config) fn database_url() -> Text<SecretString> {
    secret("URL", "postgres://user:password@host:5432/database", |text| {
        let scheme = text.starts_with("postgres://") || text.starts_with("postgresql://");
        match text.parse::<PgConnectOptions>() {
            Ok(_) if scheme => Ok(text.into()),
            _ => Err("is not the URL of a Postgres database"),
        }
    })
}

pub(in crate::config) fn master_key() -> Text<MasterKey> {
    secret("key", "32 bytes in base64, as `openssl rand -base64 32` makes them", |text| {
        MasterKey::from_base64(text).ok_or("is not 32 bytes in base64")
    })
}

pub(in crate::config) fn token() -> Text<SecretString> {
    secret("token", "printable ASCII without spaces, as `openssl rand -hex 32` makes it", |text| {
        // The token is sent in `Authorization: Bearer ...` (RFC 6750).
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(text.into())
        } else {
            Err("can't be sent in a header: it holds spaces or characters that are not ASCII")
        }
    })
}

pub(in crate::config) fn time_zone() -> Text<Tz> {
    text("time zone", "an IANA name such as Europe/Berlin or UTC", |text| {
        text.parse().map_err(|_| "is not a time zone")
    })
}

pub(in crate::config) fn active_hours() -> Text<Window> {
    text("hours", "HH:MM-HH:MM, start before end, not across midnight", |text| {
        text.parse().map_err(|_| "is not a span of a day")
    })
}

pub(in crate::config) fn socket() -> Text<SocketAddr> {
    text("address", "an IP address and a port, such as 127.0.0.1:8080 or [::]:8080", |text| {
        text.parse().map_err(|_| "is not an IP address with a port")
    })
}

pub(in crate::config) fn file() -> Text<PathBuf> {
    path("the path of a file")
}

pub(in crate::config) fn folder() -> Text<PathBuf> {
    path("the path of a folder")
}

fn path(write: &'static str) -> Text<PathBuf> {
    Text {
        word: "path",
        write,
        secret: false,
        read: |text| Ok(PathBuf::from(text)),
        show: |path| path.display().to_string(),
    }
}

pub(in crate::config) fn choice() -> Text<LogFormat> {
    text("choice", "text or json", |text| match text.to_ascii_lowercase().as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is not a format of the log"),
    })
}

/// Returns the kind for the name of a worker, which becomes part of Redis keys and of metrics.
pub(in crate::config) fn name() -> Text<String> {
    text("name", "1 to 100 letters, digits, dots, hyphens and underscores", |text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if text.len() <= 100 && text.chars().all(legal) { Ok(text.to_owned()) } else { Err("is not a worker's name") }
    })
}

/// Returns the kind for the prefix of our Redis keys. It has no braces, which would be a hash tag of a Redis
/// Cluster; the program sets the tag itself.
pub(in crate::config) fn prefix() -> Text<String> {
    text("name", "1 to 64 letters, digits, colons, dots, hyphens and underscores", |text| {
        let legal = |c: char| c.is_ascii_alphanumeric() || ":.-_".contains(c);
        if text.len() <= 64 && text.chars().all(legal) { Ok(text.to_owned()) } else { Err("is not a prefix of keys") }
    })
}

/// Returns the kind for the name in EHLO.
pub(in crate::config) fn helo_name() -> Text<String> {
    text("host name", "a full host name, such as mail.example.com, or an address such as [192.0.2.1]", |text| {
        if is_helo_name(text) { Ok(text.to_owned()) } else { Err("is neither a full host name nor an address literal") }
    })
}

/// Returns the kind for the header field that marks our mails.
pub(in crate::config) fn header() -> Text<String> {
    text("header field", "1 to 64 printable ASCII characters without colon or space, such as X-Warmup", |text| {
        content::judge_marker(text).map(|()| text.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(kind: Text<T>, text: &str) -> Result<String, &'static str> {
        kind.read(text).map(|value| kind.show(&value))
    }

    #[test]
    fn a_helo_name_is_a_full_name_or_an_address_literal() {
        assert_eq!(read(helo_name(), "mail.example.com").as_deref(), Ok("mail.example.com"));
        assert_eq!(read(helo_name(), "[192.0.2.1]").as_deref(), Ok("[192.0.2.1]"));
        assert!(read(helo_name(), "warmup-0").is_err());
    }

    #[test]
    fn a_secret_shows_only_that_it_is_set() {
        assert_eq!(read(database_url(), "postgres://me:hunter2@db/warmup").as_deref(), Ok("set"));
        assert_eq!(read(super::super::redis_url(), "redis://:hunter2@cache").as_deref(), Ok("set"));
        assert_eq!(read(token(), "hunter2").as_deref(), Ok("set"));
    }

    #[test]
    fn a_url_is_what_its_client_takes() {
        for wrong in ["db", "mysql://db/warmup", "postgres://db:port/warmup", "postgres://db/w?sslmode=perhaps"] {
            assert!(read(database_url(), wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_field_can_be_written_and_damages_no_mail() {
        assert_eq!(read(header(), "X-Warmup").as_deref(), Ok("X-Warmup"));
        for wrong in ["X Warmup", "X-Warmup:", "X-Wärmup", "Subject", "message-id"] {
            assert!(read(header(), wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_fit_into_keys() {
        assert_eq!(read(name(), "warmup-0.fleet").as_deref(), Ok("warmup-0.fleet"));
        assert!(read(name(), "warmup 0").is_err() && read(prefix(), "{warmup}").is_err());
        assert_eq!(read(prefix(), "team:warmup").as_deref(), Ok("team:warmup"));
    }

    #[test]
    fn zones_hours_addresses_and_formats_are_read_as_people_write_them() {
        assert_eq!(read(time_zone(), "Europe/Berlin").as_deref(), Ok("Europe/Berlin"));
        assert_eq!(read(active_hours(), "7:00-22:00").as_deref(), Ok("07:00-22:00"));
        assert_eq!(read(socket(), "[::]:8080").as_deref(), Ok("[::]:8080"));
        assert_eq!(read(choice(), "JSON").as_deref(), Ok("json"));
        assert!(read(time_zone(), "Berlin").is_err() && read(socket(), "localhost:8080").is_err());
    }
}
