use proptest::prelude::*;

use super::*;
use crate::domain::content::Texts;

const FILE: &str = "\
# Ours.

=== mail
Subject: {One|Two} boxes
# Not sent.
{greeting}

They are
{here|there}.

=== Reply ===

Thank you.
";

fn faults(text: &str) -> Vec<String> {
    read(text).unwrap_err().iter().map(TemplateError::to_string).collect()
}

fn warnings(text: &str) -> Vec<String> {
    read(text).unwrap().warnings.iter().map(TemplateError::to_string).collect()
}

fn mail(body: &str) -> String {
    format!("=== mail\nSubject: Boxes\n\n{body}\n")
}

#[test]
fn kinds_subjects_notes_and_paragraphs_are_read() {
    for file in [FILE.to_owned(), FILE.replace('\n', "\r\n"), format!("\u{feff}{FILE}")] {
        let read = read(&file).unwrap();
        assert_eq!((read.count(Kind::Mail), read.count(Kind::Reply)), (1, 1));
        assert_eq!(read.templates[0].source.subject.as_deref(), Some("{One|Two} boxes"));
        assert_eq!(read.templates[0].source.body, "{greeting}\n\nThey are\n{here|there}.");
        assert_eq!(read.templates[1].source.body, "Thank you.");
        assert_eq!((read.templates[0].line, read.templates[1].line), (3, 11));
    }
}

#[test]
fn all_faults_of_a_file_are_told_at_once_in_the_order_of_its_lines() {
    let file = "\
Hello
=== mial
Subject: what belongs to an unknown kind is passed over
=== mail
Subject: {open
text {too}
text\u{7}

=== mail
no subject

=== mail
Subject: {a|}
=== reply
Subject: Re
text
=== mail
Subject: for {greeting}
text
";
    assert_eq!(
        faults(file),
        [
            "line 1: stands before the first template: begin with a line `=== mail`",
            "line 2: `mial` is no kind of template: did you mean `=== mail`?",
            "line 5: a { that is not closed in its paragraph: add the }, or write \\{",
            "line 6: {too} is unknown: did you mean {to}?",
            "line 7: holds a control character (U+0007): remove it",
            "line 9: has no subject: its first line must be Subject: and a text",
            "line 12: its text is empty, or can come out empty: write one",
            "line 13: the subject is empty, or can come out empty: write one",
            "line 15: a reply takes the subject of the mail that it answers: remove this line",
            "line 18: a subject is chosen before the partner is: it can't name anybody",
        ]
    );
}

#[test]
fn a_subject_has_at_most_200_characters_whatever_is_chosen() {
    let subject = |length: usize| format!("=== mail\nSubject: {{a|{}}}\n\ntext\n", "x".repeat(length));
    assert!(read(&subject(200)).is_ok());
    assert_eq!(faults(&subject(201)), ["line 2: the subject can have 201 characters: 200 are the most"]);
}

#[test]
fn a_text_has_its_limits() {
    assert!(faults(&mail("{|{a|}}"))[0].contains("can come out empty"));
    assert!(faults(&mail(&"long ".repeat(2_001)))[0].contains("can have 10004 characters"));
    assert!(faults(&mail("a\u{202e}b"))[0].contains("U+202E"));
}

#[test]
fn a_file_without_templates_is_told_so() {
    for empty in ["", "\n\n", "# only a note\n"] {
        assert_eq!(faults(empty).len(), 1, "{empty:?}");
        assert!(faults(empty)[0].contains("no template"), "{empty:?}");
    }
}

#[test]
fn links_and_addresses_are_warned_of() {
    for link in [
        "see https://one.test/a",
        "see www.one.test",
        "to ada@one.test.",
        "at (example.com)",
        "mailto:x",
        "a {b|one.org}",
    ] {
        let told = warnings(&mail(link));
        assert!(told[0].starts_with("line 4: ") && told[0].contains("looks like a link"), "{link}: {told:?}");
    }
    for plain in ["Half past 8.30, i.e. soon.", "a@b", "Mr. Comer", "@ home"] {
        assert_eq!(warnings(&mail(plain)).len(), 1, "{plain}");
    }
}

#[test]
fn few_templates_of_a_kind_are_warned_of() {
    assert_eq!(warnings(&mail("text")), ["line 1: only 1 of kind mail: the same words go out often, 20 or more vary"]);
    assert_eq!(warnings(&mail("text").repeat(20)), [""; 0]);
}

#[test]
fn what_is_written_reads_as_the_same() {
    for file in [FILE.to_owned(), Texts::built_in_file()] {
        let sources =
            |file: &str| read(file).unwrap().templates.into_iter().map(|template| template.source).collect::<Vec<_>>();
        let first = sources(&file);
        assert_eq!(sources(&write(&first)), first);
    }
}

proptest! {
    #[test]
    fn no_file_makes_it_panic_and_what_is_read_is_written_back(
        file in prop::collection::vec(prop_oneof!["=== (mail|reply)", "Subject: [a-z{}|]{0,9}", "#?[a-z{}| \\\\]{0,12}", any::<String>()], 0..12)
    ) {
        if let Ok(read_first) = read(&file.join("\n")) {
            let sources: Vec<Source> = read_first.templates.into_iter().map(|template| template.source).collect();
            let again: Vec<Source> = read(&write(&sources)).unwrap().templates.into_iter().map(|template| template.source).collect();
            prop_assert_eq!(again, sources);
        }
    }
}

#[test]
fn lines_that_only_look_like_notes_marks_and_subjects_are_kept() {
    let file = "=== mail\nSubject: Boxes\n\nThese are:\n # 1, the red one\n === and the blue one ===\n\n=== reply\n\n subject: boxes\n";
    let sources =
        |text: &str| read(text).unwrap().templates.into_iter().map(|template| template.source).collect::<Vec<_>>();
    let first = sources(file);
    assert_eq!(first[0].body, "These are:\n# 1, the red one\n=== and the blue one ===");
    assert_eq!(first[1].body, "subject: boxes");
    assert_eq!(sources(&write(&first)), first);
}
