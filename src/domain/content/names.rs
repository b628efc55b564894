//! `first_name` extracts a first name from a display name. It returns none for a doubtful one (a team, a
//! firm, an initial): a mail without a name reads better than "Hello Support".

use super::line::one_line;

/// The known first names of both sides of a mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub sender: Option<String>,
    pub recipient: Option<String>,
}

/// The side of a mail whose name is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    Sender,
    Recipient,
}

impl Names {
    /// Takes the first names from two display names.
    pub fn of(sender: &str, recipient: &str) -> Names {
        Names { sender: first_name(sender), recipient: first_name(recipient) }
    }

    pub(super) fn get(&self, whom: Whom) -> Option<&str> {
        match whom {
            Whom::Sender => self.sender.as_deref(),
            Whom::Recipient => self.recipient.as_deref(),
        }
    }
}

/// The longest first name in characters.
pub(super) const LONGEST: usize = 40;

/// The titles before a name, which are skipped.
const TITLES: [&str; 12] = ["dr", "prof", "mr", "mrs", "ms", "miss", "mx", "herr", "frau", "ing", "dipl", "sir"];

/// The words that make a display name that of a team or a firm.
const NOBODY: [&str; 36] = [
    "accounting",
    "accounts",
    "admin",
    "ag",
    "billing",
    "bv",
    "careers",
    "co",
    "company",
    "contact",
    "corp",
    "department",
    "desk",
    "finance",
    "gmbh",
    "group",
    "hello",
    "help",
    "hr",
    "inc",
    "info",
    "limited",
    "llc",
    "ltd",
    "mailbox",
    "marketing",
    "newsletter",
    "noreply",
    "office",
    "operations",
    "sales",
    "service",
    "services",
    "support",
    "team",
    "test",
];

/// Returns the first name in `display_name`: it is Ada for "Ada Ahlberg", "Ahlberg, Ada" and "Dr. Ada Ahlberg
/// (Sales)".
pub fn first_name(display_name: &str) -> Option<String> {
    if display_name.is_empty() {
        return None;
    }
    let line = one_line(display_name);
    let outside = line.split(['(', '[', '<', '|', '/']).next().unwrap_or_default();
    let given = match outside.split_once(',') {
        Some((family, given)) if given.trim().is_empty() => family,
        Some((_, given)) => given,
        None => outside,
    };
    let words = |text: &str| -> Vec<String> {
        text.split([' ', '.', '"', '\u{201c}', '\u{201d}']).filter(|w| !w.is_empty()).map(str::to_owned).collect()
    };
    let is_listed = |list: &[&str], word: &str| list.contains(&word.to_lowercase().as_str());
    if outside.contains('@') || words(outside).iter().any(|word| is_listed(&NOBODY, word)) {
        return None;
    }
    let first =
        words(given).into_iter().find(|word| !is_listed(&TITLES, word) && word.chars().any(char::is_alphabetic))?;
    is_name(&first).then(|| capitalized(&first))
}

/// Returns true if `word` has at least two letters, or one letter of a script without capitals.
fn is_name(word: &str) -> bool {
    let in_names = |c: char| if c.is_ascii() { c.is_ascii_alphabetic() || "-'".contains(c) } else { !c.is_numeric() };
    let (count, first) = (word.chars().count(), word.chars().next().unwrap_or(' '));
    let whole = count >= 2 || (!first.is_uppercase() && !first.is_lowercase());
    whole && count <= LONGEST && first.is_alphabetic() && word.chars().all(in_names)
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_name_is_found_however_the_name_is_written() {
        for (display_name, first) in [
            ("Ada Ahlberg", "Ada"),
            ("Ahlberg, Ada", "Ada"),
            ("Dr. Ada Ahlberg", "Ada"),
            ("Prof. Dr. Ada Ahlberg (Sales)", "Ada"),
            ("ada", "Ada"),
            ("Jean-Luc Moreau", "Jean-Luc"),
            ("\"Ada\" Ahlberg", "Ada"),
            ("\u{1f511} Ada", "Ada"),
            ("Ahlberg,", "Ahlberg"),
            ("Änne\r\nMüller", "Änne"),
            ("李 小龙", "李"),
            ("N'Golo Diaby", "N'Golo"),
        ] {
            assert_eq!(first_name(display_name).as_deref(), Some(first), "{display_name:?}");
        }
    }

    #[test]
    fn what_may_be_no_person_has_no_first_name() {
        for display_name in [
            "",
            "  ",
            "A. Ahlberg",
            "Support Team",
            "Acme GmbH",
            "info",
            "ada@one.test",
            "4711",
            "R2D2",
            "\u{1f511}",
            "Mr.",
        ] {
            assert_eq!(first_name(display_name), None, "{display_name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_first_name_is_one_word_that_says_nothing_to_a_parser(display_name in any::<String>()) {
            if let Some(name) = first_name(&display_name) {
                prop_assert!(!name.is_empty() && name.chars().count() <= LONGEST + 2);
                prop_assert!(!name.contains(['{', '}', '|', '\\', '<', '>', '&', '@', ' ', '\n', '\r']), "{}", name);
            }
        }
    }
}
