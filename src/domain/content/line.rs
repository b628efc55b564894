//! `one_line` makes text safe for one line of a header or a mail: it removes all that could end the line or
//! reverse its direction.

/// The longest line in characters; longer text is cut. An unbroken header line ends at 998 octets (RFC 5322
/// section 2.1.1).
const LONGEST: usize = 240;

/// Returns `text` as one line of at most 240 characters. Control characters and line separators become
/// spaces, and runs of spaces become one. Explicit directions are removed, because a name could reverse its
/// line.
pub fn one_line(text: &str) -> String {
    if is_one_line(text.as_bytes()) {
        return text.to_owned();
    }
    let visible = text.chars().filter(|c| !is_direction(*c)).map(|c| if ends_line(c) { ' ' } else { c });
    let words: String = visible.take(LONGEST * 2).collect();
    let line = words.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    // An accidental encoded word (RFC 2047) would be decoded into something else by mail programs.
    let line = line.replace("=?", "= ?");
    line.chars().take(LONGEST).collect::<String>().trim_end().to_owned()
}

/// Returns true if `text` needs no change, as most names and subjects do.
fn is_one_line(text: &[u8]) -> bool {
    text.len() <= LONGEST
        && text.iter().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim_ascii().len() == text.len()
        && !text.windows(2).any(|pair| pair == b"  " || pair == b"=?")
}

/// Returns true if `c` ends a line, or is invisible.
pub(super) fn ends_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Returns true if `c` is an embedding, an override or an isolate (Unicode UAX 9). The marks U+200E and
/// U+200F stay, because right-to-left names need them.
pub(super) fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_ends_or_turns_a_line_is_gone() {
        assert_eq!(one_line(" a\r\nBcc: b\0\tc\u{2028}d  "), "a Bcc: b c d");
        assert_eq!(one_line("Ada\u{202e}moc.live\u{202c}"), "Adamoc.live");
        assert_eq!(one_line("=?utf-8?q?=0D=0ABcc?="), "= ?utf-8?q?=0D=0ABcc?=");
        assert_eq!(one_line(&"ä".repeat(1_000)).chars().count(), 240);
        assert_eq!(one_line("Änne \u{1f511} Müller"), "Änne \u{1f511} Müller");
    }

    proptest! {
        #[test]
        fn it_is_one_line_and_stays_as_it_is(text in prop_oneof![any::<String>(), "[ -~]{0,4}", "[ =?a]{0,260}"]) {
            let line = one_line(&text);
            prop_assert!(!line.contains("  ") && !line.contains("=?"), "{:?}", line);
            prop_assert!(!line.starts_with(' ') && !line.ends_with(' '), "{:?}", line);
            prop_assert!(!line.chars().any(|c| ends_line(c) || is_direction(c)));
            prop_assert!(line.chars().count() <= LONGEST);
            prop_assert_eq!(one_line(&line), line);
        }
    }
}
