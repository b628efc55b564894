//! `read` decides from the raw bytes when a reply is complete. The outcome of a mail depends on this decision, so the
//! client library does not make it.
//!
//! RFC 5321 section 4.2: a reply has lines of `ddd-text CRLF`, then one of `ddd SP text CRLF` or `ddd CRLF`, all with
//! one code, whose first digit is 2 to 5. Half a reply is no reply, whatever its digits say.

use std::borrow::Cow;

use memchr::memchr_iter;

use crate::domain::outcome::Reply;

/// A `Reading` classifies the bytes read so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The bytes are not yet a complete reply.
    Partial,
    /// The bytes begin with a complete reply of `length` bytes.
    Complete { reply: Reply, length: usize },
    /// The bytes can't become a reply.
    Garbled(String),
}

/// The largest reply in bytes: longer than that of any real server, and a bound on the memory that a server can take.
const MAX_REPLY_BYTES: usize = 100_000;

/// The length of the excerpt of a garbled line, in characters. It exceeds any AUTH line, so that a password that a host
/// repeats is redacted as a whole.
const EXCERPT_CHARS: usize = 2_000;

/// Reads the first reply in `bytes`.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let mut so_far: Option<Reply> = None;
    let mut rest = bytes;
    while let Some(end) = memchr_iter(b'\n', rest).find(|at| rest[..*at].ends_with(b"\r")) {
        let (line, tail) = (&rest[..end - 1], &rest[end + 1..]);
        let Some((code, last, text)) = split(line) else { return garbled(line) };
        let empty = || Reply { code, enhanced: None, text: String::with_capacity(bytes.len()) };
        let mut reply = so_far.unwrap_or_else(empty);
        if reply.code != code {
            return garbled(line);
        }
        add(&mut reply, text);
        if last {
            return Reading::Complete { reply, length: bytes.len() - tail.len() };
        }
        so_far = Some(reply);
        rest = tail;
    }
    if bytes.len() > MAX_REPLY_BYTES { garbled(rest) } else { Reading::Partial }
}

/// Splits a line into its code, the mark of the last line, and its text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Some((code, true, &[])),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// Appends the text of one more line without its enhanced code; the first enhanced code counts.
fn add(reply: &mut Reply, text: &[u8]) {
    let text = clean(text);
    let (enhanced, text) = match enhanced(reply.code, &text) {
        Some((enhanced, rest)) => (Some(enhanced), rest),
        None => (None, &*text),
    };
    reply.enhanced = reply.enhanced.or(enhanced);
    if !reply.text.is_empty() && !text.is_empty() {
        reply.text.push(' ');
    }
    reply.text.push_str(text);
}

/// Returns the enhanced code at the head of a text if its class agrees with the reply's (RFC 2034 section 4).
fn enhanced(code: u16, text: &str) -> Option<([u16; 3], &str)> {
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut parts = word.split('.').map(|part| part.parse::<u16>().ok().filter(|_| part.len() <= 3));
    let enhanced = [parts.next()??, parts.next()??, parts.next()??];
    (parts.next().is_none() && enhanced[0] == code / 100).then_some((enhanced, rest.trim_start()))
}

/// Returns a text for logs: replaces control characters and invalid UTF-8.
fn clean(text: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(text) {
        Cow::Borrowed(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => text.trim().into(),
        text => text.trim().replace(char::is_control, " ").into(),
    }
}

fn garbled(line: &[u8]) -> Reading {
    Reading::Garbled(clean(line).chars().take(EXCERPT_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete(bytes: &[u8]) -> Reply {
        match read(bytes) {
            Reading::Complete { reply, length } if length == bytes.len() => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_reply_is_read_with_its_enhanced_code_and_all_its_text() {
        let one = complete(b"250 2.0.0 Ok: queued as 4XyZ\r\n");
        assert_eq!((one.code, one.enhanced, one.text.as_str()), (250, Some([2, 0, 0]), "Ok: queued as 4XyZ"));
        let many =
            complete(b"550-5.7.26 This mail is unauthenticated\r\n550-5.7.26 see the page\r\n550 5.7.26 bye\r\n");
        assert_eq!(many.enhanced, Some([5, 7, 26]));
        assert_eq!(many.text, "This mail is unauthenticated see the page bye");
        assert_eq!(complete(b"250\r\n").code, 250);
        assert_eq!(complete(b"250 \r\n").text, "");
        assert_eq!(complete(b"550 gr\xfc\xdfe\r\n").text, "gr\u{fffd}\u{fffd}e");
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_text() {
        let reply = complete(b"535 4.7.0 odd\r\n");
        assert_eq!((reply.enhanced, reply.text.as_str()), (None, "4.7.0 odd"));
        assert_eq!(complete(b"250 1.2.3.4 says hello\r\n").enhanced, None);
    }

    #[test]
    fn half_a_reply_is_none() {
        for half in ["", "2", "250", "250 ok", "250 ok\r", "250-ok\r\n", "250-ok\r\n250", "250 ok\n"] {
            assert_eq!(read(half.as_bytes()), Reading::Partial, "{half:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_garbled() {
        for bad in ["hello\r\n", "25\r\n", "150 wait\r\n", "650 no\r\n", "250-a\r\n251 b\r\n", "250+ok\r\n", "\r\n"] {
            assert!(matches!(read(bad.as_bytes()), Reading::Garbled(_)), "{bad:?}");
        }
        assert!(matches!(read(&vec![b'2'; MAX_REPLY_BYTES + 1]), Reading::Garbled(_)));
    }

    #[test]
    fn bytes_after_the_reply_are_not_its_own() {
        assert!(matches!(read(b"354 go\r\n250 ok\r\n"), Reading::Complete { length: 8, .. }));
    }

    proptest! {
        #[test]
        fn no_prefix_of_a_reply_is_complete(code in 200u16..600, lines in proptest::collection::vec("[ -~]{0,20}", 1..4)) {
            let last = lines.len() - 1;
            let text: String = lines
                .iter()
                .enumerate()
                .map(|(at, line)| format!("{code}{}{line}\r\n", if at == last { ' ' } else { '-' }))
                .collect();
            for cut in 0..text.len() {
                prop_assert_eq!(read(&text.as_bytes()[..cut]), Reading::Partial);
            }
            let is_complete = matches!(read(text.as_bytes()), Reading::Complete { length, .. } if length == text.len());
            prop_assert!(is_complete);
        }
    }
}
