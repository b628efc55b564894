//! This module defines the header field that marks our mails, so that the owner of a mailbox can filter them.
//! The mails do not hide what they are.

/// The value of the field.
pub const MARK: &str = concat!("warmup/", env!("CARGO_PKG_VERSION"));

/// The longest field name in characters. The field stands on one line with its value, and lettre accepts no
/// longer name.
const LONGEST: usize = 64;

/// The fields that mail programs and hosts interpret (RFC 5322 section 3.6, RFC 3834, RFC 5321 section 4.4):
/// marking a mail with one would damage it.
const TAKEN: [&str; 26] = [
    "apparently-to",
    "authentication-results",
    "auto-submitted",
    "bcc",
    "cc",
    "comments",
    "date",
    "delivered-to",
    "disposition-notification-to",
    "dkim-signature",
    "from",
    "in-reply-to",
    "keywords",
    "message-id",
    "mime-version",
    "precedence",
    "received",
    "received-spf",
    "references",
    "reply-to",
    "return-path",
    "return-receipt-to",
    "sender",
    "subject",
    "to",
    "user-agent",
];

/// The prefixes of such fields (RFC 2045, RFC 2369, RFC 5322 section 3.6.6, RFC 8617).
const TAKEN_FAMILIES: [&str; 4] = ["arc-", "content-", "list-", "resent-"];

/// Checks `name` as the field that marks our mails. It must be a field name (RFC 5322 section 3.6.8:
/// printable ASCII without the colon) without another meaning. The error completes a sentence about the name.
pub fn judge(name: &str) -> Result<(), &'static str> {
    let legal = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(legal) {
        return Err("is not the name of a header field");
    }
    let lower = name.to_ascii_lowercase();
    if TAKEN.contains(&lower.as_str()) || TAKEN_FAMILIES.iter().any(|family| lower.starts_with(family)) {
        return Err("is a field that mail programs read");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_can_be_written_and_damages_no_mail() {
        for right in ["X-Warmup", "x_warmup", "Warmup", "X-Content", "X.1!"] {
            assert_eq!(judge(right), Ok(()), "{right}");
        }
        let long = "x".repeat(65);
        for wrong in ["", "X Warmup", "X-Warmup:", "X-Wärmup", "X\r\nBcc", "X\0", "X\u{202e}", &long] {
            assert!(judge(wrong).unwrap_err().contains("not the name"), "{wrong:?}");
        }
        for taken in ["Subject", "message-id", "Content-Language", "List-Unsubscribe", "Resent-To", "DKIM-Signature"] {
            assert!(judge(taken).unwrap_err().contains("read"), "{taken}");
        }
    }
}
