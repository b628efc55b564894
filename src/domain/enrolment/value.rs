//! This module parses each kind of cell. An error is a sentence that says what to write.

use chrono_tz::{TZ_VARIANTS, Tz};
use secrecy::SecretString;

use super::{LONGEST_COMPARED_BYTES, MOST_A_DAY};
use crate::domain::{
    address,
    mailbox::Security,
    time::{Weekdays, Window},
};

const LONGEST_TEXT: usize = 200;
const LONGEST_PASSWORD: usize = 1000;

pub(super) fn email(text: &str) -> Result<String, String> {
    address::mailbox_address(text)
}

pub(super) fn user(text: &str) -> Result<String, String> {
    address::user_address(text)
}

/// Reads text without control characters. A line break in a header or a command would let the file write
/// headers and commands of its own.
pub(super) fn line_of_text(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("holds a line break or another control character: remove it".to_owned());
    }
    if text.chars().count() > LONGEST_TEXT {
        return Err(format!("is longer than {LONGEST_TEXT} characters: shorten it"));
    }
    Ok(text.to_owned())
}

pub(super) fn password(text: &str) -> Result<SecretString, String> {
    if text.chars().any(char::is_control) {
        return Err("holds a line break or another control character: was a quote left open?".to_owned());
    }
    if text.len() > LONGEST_PASSWORD {
        return Err(format!("is longer than {LONGEST_PASSWORD} bytes: was a quote left open?"));
    }
    Ok(text.into())
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    number(text, 1, u16::MAX)
}

pub(super) fn mails(text: &str) -> Result<u16, String> {
    number(text, 0, MOST_A_DAY)
}

pub(super) fn percent(text: &str) -> Result<u8, String> {
    number(text, 0, 100).map(|rate| u8::try_from(rate).unwrap_or(100))
}

fn number(text: &str, low: u16, high: u16) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse::<u16>().ok()).flatten();
    number.filter(|number| (low..=high).contains(number)).ok_or_else(|| format!("write a number from {low} to {high}"))
}

pub(super) fn security(text: &str) -> Result<Security, String> {
    text.parse().map_err(|_| "write tls, starttls or none".to_owned())
}

pub(super) fn timezone(text: &str) -> Result<Tz, String> {
    if let Some(zone) = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text)) {
        return Ok(*zone);
    }
    if text.len() > LONGEST_COMPARED_BYTES {
        return Err("write a time zone like Europe/Berlin or UTC".to_owned());
    }
    let distance = |zone: &&Tz| strsim::damerau_levenshtein(&text.to_lowercase(), &zone.name().to_lowercase());
    let nearest = TZ_VARIANTS.iter().min_by_key(distance).filter(|zone| distance(zone) <= 3);
    Err(match nearest {
        Some(zone) => format!("is no time zone: did you mean {}?", zone.name()),
        None => "write a time zone like Europe/Berlin or UTC".to_owned(),
    })
}

pub(super) fn window(text: &str) -> Result<Window, String> {
    text.parse().map_err(|_| "write a window like 09:00-17:00, start before end, not across midnight".to_owned())
}

pub(super) fn days(text: &str) -> Result<Weekdays, String> {
    text.parse().map_err(|_| "write weekdays like mon-fri or mon,wed,sat (in quotes where there is a comma)".to_owned())
}

pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" | "on" => Ok(true),
        "false" | "no" | "0" | "off" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_local_part_and_lowers_its_domain() {
        assert_eq!(email("Ann.Lee+warm@Example.COM").unwrap(), "Ann.Lee+warm@example.com");
        assert_eq!(user("Operator@LocalHost").unwrap(), "operator@localhost");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(250));
        for wrong in [
            "ann",
            "ann@",
            "@example.com",
            "a b@example.com",
            "a@b@c",
            "a@example.com\r\nRCPT",
            "a@exa mple.com",
            "änn@example.com",
            "x@localhost",
            "a@-example.com",
            &long,
        ] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_plain_and_within_their_range() {
        assert_eq!((port("587"), percent("100"), mails("0")), (Ok(587), Ok(100), Ok(0)));
        for wrong in ["", "0", "65536", "587.0", "+587", "-1", "0x10", "５"] {
            assert!(port(wrong).is_err(), "{wrong}");
        }
        assert!(percent("101").is_err() && mails("2001").is_err());
    }

    #[test]
    fn a_misspelt_time_zone_gets_a_suggestion() {
        assert_eq!(timezone("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(timezone("Europe/Berln").unwrap_err(), "is no time zone: did you mean Europe/Berlin?");
        assert!(timezone("nowhere at all").unwrap_err().contains("Europe/Berlin or UTC"));
    }

    #[test]
    fn nothing_that_would_end_a_header_line_passes() {
        assert!(line_of_text("Ann\r\nBcc: all@example.com").is_err());
        assert!(line_of_text("Ann\u{85}").is_err() && line_of_text("Ann\0").is_err());
        assert_eq!(line_of_text("Ann Lee, Änne \u{1f511}").unwrap(), "Ann Lee, Änne \u{1f511}");
    }
}
