use proptest::prelude::*;

use super::*;
use crate::domain::content::{dice::Stream, names::Names};

fn parsed(text: &str) -> Result<Phrase, Vec<TemplateError>> {
    let lines: Vec<(u64, &str)> = (1..).zip(text.lines()).collect();
    parse(&lines)
}

fn faults(text: &str) -> Vec<String> {
    parsed(text).unwrap_err().iter().map(TemplateError::to_string).collect()
}

fn said(text: &str, names: &Names, dice: u64) -> String {
    parsed(text).unwrap().expand(names, &mut Stream::of(dice, "body"))
}

fn ada_to_ben() -> Names {
    Names::of("Ada Ahlberg", "Ben Brown")
}

#[test]
fn every_alternative_comes_up_and_nothing_else() {
    let mut texts = parsed("{a|b {c|d}} e").unwrap().all();
    texts.sort();
    assert_eq!(texts, ["a e", "b c e", "b d e"]);
    let seen: std::collections::BTreeSet<String> =
        (0..200).map(|dice| said("{a|b {c|d}} e", &Names::default(), dice)).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), texts);
}

#[test]
fn an_alternative_with_a_name_is_only_taken_where_it_is_known() {
    let text = "{Hello {to}|Good day},";
    assert!((0..50).all(|dice| said(text, &Names::default(), dice) == "Good day,"));
    assert!((0..50).any(|dice| said(text, &ada_to_ben(), dice) == "Hello Ben,"));
}

#[test]
fn greeting_and_signoff_vary_and_read_well_without_names() {
    for dice in 0..500 {
        let (greeting, signoff) =
            (said("{greeting}", &Names::default(), dice), said("{signoff}", &Names::default(), dice));
        assert!(greeting.ends_with(',') && !greeting.contains(" ,"), "{greeting}");
        assert!(!signoff.contains([',', '\n']), "{signoff}");
        let (greeting, signoff) = (said("{greeting}", &ada_to_ben(), dice), said("{signoff}", &ada_to_ben(), dice));
        assert!(greeting.ends_with(',') && !greeting.contains("Ada"), "{greeting}");
        assert!(signoff.ends_with(",\nAda") || !signoff.contains([',', '\n']), "{signoff}");
    }
    let different =
        |text: &str| (0..500).map(|dice| said(text, &ada_to_ben(), dice)).collect::<std::collections::HashSet<_>>();
    assert!(different("{greeting}").len() >= 8 && different("{signoff}").len() >= 8);
}

#[test]
fn a_backslash_takes_the_meaning_away_or_breaks_the_line() {
    assert_eq!(said("\\{a\\|b\\} \\\\ C:\\dir", &Names::default(), 0), "{a|b} \\ C:\\dir");
    assert_eq!(said("one\\\ntwo\nthree", &Names::default(), 0), "one\ntwo three");
}

#[test]
fn an_empty_alternative_leaves_no_gap() {
    let texts: std::collections::BTreeSet<String> =
        (0..50).map(|dice| said("a {very |}good {old |}friend", &Names::default(), dice)).collect();
    assert_eq!(texts.len(), 4);
    assert!(texts.iter().all(|text| !text.contains("  ")), "{texts:?}");
}

#[test]
fn every_fault_is_told_with_its_line() {
    assert_eq!(
        faults("a } b\n{two}\nc | d\n{form} and {}\n{{to}|x}\n{open|\n{more|"),
        [
            "line 1: a } without its {: remove it, or write \\} for the brace itself",
            "line 2: {two} is unknown: did you mean {to}?",
            "line 3: a | outside of braces: write {one|another}, or \\| for the bar itself",
            "line 4: {form} is unknown: did you mean {from}?",
            "line 4: empty braces: write {one|another}, or remove them",
            "line 6: a { that is not closed in its paragraph: add the }, or write \\{",
            "line 7: a { that is not closed in its paragraph: add the }, or write \\{",
        ]
    );
    assert!(faults("{{to}}")[0].contains("braces around braces"));
    assert!(faults("{firstname}")[0].contains("there are {to}, {from}, {greeting}, {signoff}"));
}

#[test]
fn a_text_that_needs_a_name_is_a_fault() {
    assert_eq!(faults("Hi\nthere {to},").len(), 1);
    assert!(faults("Hi\nthere {to},")[0].starts_with("line 2: a name may be unknown"));
    assert!(faults("{Hi {to}|Dear {to}},")[0].contains("without it"));
    assert!(faults("{Hi {to}|From {from}},")[0].contains("without it"));
}

#[test]
fn what_is_too_deep_is_told_before_it_is_walked() {
    assert!(parsed(&format!("{}a{}", "{".repeat(10), "|b}".repeat(10))).is_ok());
    for deep in [11, 100_000] {
        let text = format!("{}a{}", "{".repeat(deep), "|b}".repeat(deep));
        assert!(faults(&text)[0].contains("10 deep is the most"));
    }
}

/// Generates a text with alternatives, and all its variants.
fn tree() -> impl Strategy<Value = (String, Vec<String>)> {
    let leaf = "[a-z]{1,4}".prop_map(|word| (word.clone(), vec![word]));
    leaf.prop_recursive(4, 12, 3, |inner| {
        let many = prop::collection::vec(inner, 1..4);
        prop_oneof![
            many.clone().prop_map(|parts| {
                let text = parts.iter().map(|(text, _)| text.as_str()).collect();
                let joined = parts.iter().fold(vec![String::new()], |texts, (_, ends)| {
                    texts.iter().flat_map(|text| ends.iter().map(move |end| format!("{text}{end}"))).take(64).collect()
                });
                (text, joined)
            }),
            many.prop_map(|parts| {
                let texts: Vec<&str> = parts.iter().map(|(text, _)| text.as_str()).collect();
                let all = parts.iter().flat_map(|(_, all)| all.clone()).collect();
                // A single alternative would be a placeholder: an empty second one makes it a choice.
                let bar = if texts.len() == 1 { "|" } else { "" };
                (
                    format!("{{{}{bar}}}", texts.join("|")),
                    if bar.is_empty() { all } else { [all, vec![String::new()]].concat() },
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn every_expansion_is_one_of_its_texts((text, all) in tree(), dice in any::<u64>()) {
        let said = said(&text, &Names::default(), dice);
        prop_assert!(!said.contains(['{', '|', '}']), "{said}");
        prop_assert!(all.len() >= 64 || all.contains(&said), "{text}: {said}");
        let phrase = parsed(&text).unwrap();
        prop_assert!(phrase.shortest() <= said.chars().count() && said.chars().count() <= phrase.longest());
    }

    #[test]
    fn braces_that_do_not_match_are_a_fault(text in "[ab{}|\\\\\n ]{0,40}") {
        let (mut depth, mut matched, mut letters) = (0, true, text.lines().flat_map(|line| line.trim().chars().chain(['\n'])));
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => drop(letters.next()),
                '{' => depth += 1,
                '}' => depth -= 1,
                '|' if depth == 0 => matched = false,
                _ => {}
            }
            matched &= depth >= 0;
        }
        if parsed(&text).is_ok() {
            prop_assert!(matched && depth == 0, "{text:?}");
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), dice in any::<u64>()) {
        if let Ok(phrase) = parsed(&text) {
            phrase.expand(&ada_to_ben(), &mut Stream::of(dice, "body"));
        }
    }
}
