//! `oddity` finds invisible or similar-looking characters that a pasted password or user name may contain.
//!
//! They are legal, so they cause a warning and are stored unchanged. A warning names neither the text nor the
//! place in it.

/// A kind of such characters: the phrase of the warning, and a function that detects them.
type Kind = (&'static str, fn(&str) -> bool);

const KINDS: [Kind; 4] = [
    ("begins or ends with a blank", |text| text.trim().len() < text.len()),
    ("holds a no-break space", |text| text.contains(['\u{a0}', '\u{2007}', '\u{202f}'])),
    ("holds a character without width", |text| {
        text.contains(['\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}'])
    }),
    ("holds a typographic quotation mark", |text| text.contains(|c| matches!(c, '\u{2018}'..='\u{201f}' | '«' | '»'))),
];

/// Returns the odd properties of `text`, as the end of a sentence, or `None` if it has none.
pub fn oddity(text: &str) -> Option<String> {
    let found: Vec<&str> = KINDS.iter().filter(|(_, has)| has(text)).map(|(phrase, _)| *phrase).collect();
    (!found.is_empty()).then(|| found.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_along_with_a_paste_is_named_and_not_repeated() {
        for (text, phrase) in [
            (" canary", "begins or ends with a blank"),
            ("canary\u{a0}", "begins or ends with a blank and holds a no-break space"),
            ("can\u{a0}ary", "holds a no-break space"),
            ("can\u{200b}ary", "holds a character without width"),
            ("\u{feff}canary", "holds a character without width"),
            ("\u{201c}canary\u{201d}", "holds a typographic quotation mark"),
            ("can\u{2019}ary", "holds a typographic quotation mark"),
        ] {
            assert_eq!(oddity(text).as_deref(), Some(phrase), "{text:?}");
        }
    }

    #[test]
    fn a_password_of_usual_characters_is_not_odd() {
        for text in ["pass word", "\"quoted'", "pässwörd", "密码", "a-b_c"] {
            assert_eq!(oddity(text), None, "{text:?}");
        }
    }
}
