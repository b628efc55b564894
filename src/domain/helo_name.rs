//! This module validates the name that a mail client gives in EHLO: a full host name or an address literal
//! (RFC 5321 sections 4.1.2 and 4.1.3).

use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest host name in octets, and the longest of its labels (RFC 1035 section 2.3.4, without the root).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Returns true if `text` is valid in EHLO. A name without a dot is not: hosts that check the name require a
/// full one.
pub fn is_helo_name(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) => is_address(literal),
        None => is_full_name(text),
    }
}

fn is_address(literal: &str) -> bool {
    match literal.split_at_checked("IPv6:".len()) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().is_ok(),
        _ => literal.parse::<Ipv4Addr>().is_ok(),
    }
}

fn is_full_name(name: &str) -> bool {
    let labels: Vec<&str> = name.split('.').collect();
    // An address without brackets is no name: no top-level domain is a number (RFC 3696 section 2).
    let is_number = |label: &&str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= LONGEST_NAME
        && labels.len() > 1
        && labels.iter().all(|label| is_label(label))
        && !labels.last().is_some_and(is_number)
}

fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_or_an_address_literal_can_stand_in_ehlo() {
        for name in
            ["mail.example.com", "a-1.example.org", "xn--mller-kva.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"]
        {
            assert!(is_helo_name(name), "{name}");
        }
    }

    #[test]
    fn everything_else_can_not() {
        let long_label = format!("{}.example.com", "a".repeat(64));
        let long_name = format!("{}com", "abcdefgh.".repeat(30));
        for name in [
            "",
            "localhost",
            "mail.example.com.",
            ".example.com",
            "-a.example.com",
            "a-.example.com",
            "mail_1.example.com",
            "müller.example.com",
            "mail.example.com\r\nMAIL FROM:<a@b.c>",
            "mail example.com",
            "192.0.2.1",
            "[192.0.2.256]",
            "[2001:db8::1]",
            "[IPv6:192.0.2.1]",
            "[mail.example.com]",
            "[192.0.2.1",
            &long_label,
            &long_name,
        ] {
            assert!(!is_helo_name(name), "{name:?}");
        }
    }
}
