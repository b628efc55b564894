//! This module decides which addresses are valid, both at the enrolment and at the send.
//!
//! An address is `local@domain`: a dot-atom (RFC 5322 section 3.2.3) before the `@`, and a host name with at
//! least one dot after it. Quoted local parts, address literals (`[127.0.0.1]`) and bare names (`localhost`)
//! are refused: some parsers accept them, but each send fails at a mail host. A domain with other characters
//! than ASCII is stored as punycode (RFC 5891).

/// The longest address in bytes: RFC 5321 section 4.5.3.1.3 limits a path to 256 octets, its brackets
/// included.
const LONGEST_ADDRESS: usize = 254;
/// The longest local part in bytes (RFC 5321 section 4.5.3.1.1).
const LONGEST_LOCAL_PART: usize = 64;

/// Returns the address of a mailbox as stored: its domain in lower case and in ASCII. The error is a sentence
/// that says what to write.
pub fn mailbox_address(text: &str) -> Result<String, String> {
    let (local, domain) = parts(text)?;
    if !domain.contains('.') {
        return Err("write the whole domain, with a dot in it: name@example.com".to_owned());
    }
    Ok(format!("{local}@{domain}"))
}

/// Returns the address of a user as stored, in lower case. No mail goes to it, so its domain may be a bare
/// name.
pub fn user_address(text: &str) -> Result<String, String> {
    parts(text).map(|(local, domain)| format!("{local}@{domain}").to_ascii_lowercase())
}

/// Returns the reason why no mail can be sent from or to a stored `address`, or `None` if it is valid.
pub fn unsendable(address: &str) -> Option<String> {
    mailbox_address(address).err().map(|why| format!("{address:?} is no address: {why}"))
}

fn parts(text: &str) -> Result<(&str, String), String> {
    let wrong = || "write an address like name@example.com".to_owned();
    // The length check comes before any parsing: the text may be a megabyte.
    if text.len() > LONGEST_ADDRESS {
        return Err(wrong());
    }
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    if !local.is_ascii() {
        return Err("write the part before the @ in ASCII".to_owned());
    }
    if local.contains(['"', '\\']) {
        return Err("write the part before the @ without quotes".to_owned());
    }
    if domain.starts_with('[') {
        return Err("write a domain behind the @, not an address in brackets".to_owned());
    }
    let domain = idna::domain_to_ascii(domain).map_err(|_| wrong())?;
    let is_address = is_dot_atom(local)
        && local.len() <= LONGEST_LOCAL_PART
        && is_domain(&domain)
        && local.len() + 1 + domain.len() <= LONGEST_ADDRESS;
    if is_address { Ok((local, domain)) } else { Err(wrong()) }
}

/// Returns true if `text` is a dot-atom (RFC 5322 section 3.2.3).
fn is_dot_atom(text: &str) -> bool {
    let is_atom_character = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_character))
}

/// Returns true if `name` is a host name (RFC 1123 section 2.1). A last label of digits only is an IP
/// address.
fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(is_label) && name.rsplit('.').next().is_some_and(|last| !is_number(last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_keeps_its_local_part_and_its_domain_is_lowered_and_ascii() {
        for (written, stored) in [
            ("Ann.Lee+warm@Example.COM", "Ann.Lee+warm@example.com"),
            ("ann@exämple.com", "ann@xn--exmple-cua.com"),
            ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
            ("o'neil_!#$%&*-/=?^`{|}~@a.example", "o'neil_!#$%&*-/=?^`{|}~@a.example"),
        ] {
            assert_eq!(mailbox_address(written).unwrap(), stored);
            assert_eq!(unsendable(stored), None);
        }
        assert_eq!(user_address("Operator@LocalHost").unwrap(), "operator@localhost");
    }

    #[test]
    fn what_no_mail_host_takes_is_no_address() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", "a.".repeat(150));
        for wrong in [
            "",
            "ann",
            "ann@",
            "@example.com",
            "\"x,1\"@d.example",
            "\"x\"@d.example",
            "x\\,1@d.example",
            "x@localhost",
            "x@[127.0.0.1]",
            "x@[IPv6:::1]",
            "x@127.0.0.1",
            "x,y@d.example",
            "x;y@d.example",
            "a b@example.com",
            "a@b@c",
            ".a@example.com",
            "a.@example.com",
            "a..b@example.com",
            "a@example.com\r\nRCPT",
            "a@exa mple.com",
            "a@-example.com",
            "a@example..com",
            "a@example.com.",
            "a@ex_ample.com",
            "änn@example.com",
            "a\0@example.com",
            &long,
            &longer,
        ] {
            assert!(mailbox_address(wrong).is_err() && unsendable(wrong).is_some(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_stored_is_an_address_that_is_stored_so(text in "\\PC{0,12}@\\PC{0,20}|[a-zA-Z.\"]{1,8}@[a-zA-Zäü.-]{1,16}") {
            if let Ok(stored) = mailbox_address(&text) {
                prop_assert_eq!(mailbox_address(&stored), Ok(stored.clone()));
                prop_assert!(stored.parse::<lettre::Address>().is_ok(), "{}", stored);
            }
        }
    }
}
