//! This module checks the names and addresses of mail hosts. A *name* is resolved and its addresses are
//! checked at each connection. A private address, or this machine, is already refused at the enrolment.

use std::net::IpAddr;

use ip_network::IpNetwork;

/// Returns the host as stored: a name in lower case, or an address without brackets.
pub(in crate::domain) fn host(text: &str) -> Result<String, String> {
    let wrong = || "write a host name like smtp.example.com".to_owned();
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if !name.is_ascii() {
        return Err("write the host name in its xn-- form".to_owned());
    }
    // A last label of digits only is a mistyped address: no top-level domain is one (RFC 1123 section 2.1).
    let numeric = name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if name.len() > 253 || numeric || !name.split('.').all(is_label) {
        return Err(wrong());
    }
    Ok(name)
}

/// Returns true if `host`, as stored, is a name and not an address.
pub(in crate::domain) fn is_name(host: &str) -> bool {
    host.parse::<IpAddr>().is_err()
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
}

/// Returns true if `host`, as stored, is evidently not on the public Internet.
pub(super) fn is_private(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => !IpNetwork::from(address.to_canonical()).is_global(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_stored_in_one_form() {
        assert_eq!(host("SMTP.Example.com.").unwrap(), "smtp.example.com");
        assert_eq!(host("[2001:DB8::1]").unwrap(), "2001:db8::1");
        assert_eq!(host("xn--exmple-cua.com").unwrap(), "xn--exmple-cua.com");
        assert_eq!(host("mail_1.example.com").unwrap(), "mail_1.example.com");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for wrong in [
            "",
            ".",
            "a..b",
            "smtp example",
            "smtp://host",
            "host:587",
            "-a.com",
            "1.2.3",
            "127.1",
            "2130706433",
            "300.1.1.1",
            "exämple.com",
            "a\r\nb",
            "[host]",
        ] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn private_addresses_are_known_as_such() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.9.9",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "100.64.0.1",
            "localhost",
            "mail.localhost",
        ] {
            assert!(is_private(private), "{private}");
        }
        for public in ["1.1.1.1", "2606:4700:4700::1111", "smtp.example.com", "localhost.example.com"] {
            assert!(!is_private(public), "{public}");
        }
    }
}
