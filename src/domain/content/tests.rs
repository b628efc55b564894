use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;

/// The variants of each template that are compared with those of all others.
const SAMPLES: u64 = 8;

fn own(file: &str) -> Texts {
    Texts::own(read(file).unwrap())
}

fn all(texts: &Texts) -> impl Iterator<Item = &Arc<Template>> {
    texts.mails.iter().chain(&texts.replies)
}

fn anybody() -> Names {
    Names::of("Ada Ahlberg", "Ben Brown")
}

#[test]
fn there_are_sixty_mails_and_forty_replies_and_nothing_to_warn_of() {
    let built_in = Texts::built_in();
    assert!(built_in.count(Kind::Mail) >= 60, "{}", built_in.count(Kind::Mail));
    assert!(built_in.count(Kind::Reply) >= 40, "{}", built_in.count(Kind::Reply));
    assert_eq!(read(&Texts::built_in_file()).unwrap().warnings, []);
}

#[test]
fn every_template_can_be_chosen() {
    let built_in = Texts::built_in();
    let chosen: HashSet<u64> = (0..5_000).map(|dice| built_in.mail(dice).template.line).collect();
    assert_eq!(chosen.len(), built_in.count(Kind::Mail));
    let chosen: HashSet<u64> = (0..5_000).map(|dice| built_in.reply(dice, "x").template.line).collect();
    assert_eq!(chosen.len(), built_in.count(Kind::Reply));
}

#[test]
fn no_two_mails_share_the_skeleton_of_a_subject_or_any_subject() {
    let words = |text: &str| text.to_lowercase().split(|c: char| !c.is_alphanumeric()).collect::<Vec<_>>().join(" ");
    let (mut skeletons, mut subjects) = (HashSet::new(), HashSet::new());
    for mail in &Texts::built_in().mails {
        let skeleton = words(&mail.subject.skeleton()).trim().to_owned();
        assert!(!skeleton.is_empty(), "line {}", mail.line);
        assert!(skeletons.insert(skeleton.clone()), "{skeleton}");
        let own: BTreeSet<String> = mail.subject.all().iter().map(|subject| words(subject)).collect();
        own.into_iter().for_each(|subject| assert!(subjects.insert(subject.clone()), "{subject}"));
    }
}

/// Returns every five words in a row, without case and punctuation.
fn shingles(text: &str) -> HashSet<String> {
    let text = text.to_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty()).collect();
    words.windows(5).map(|five| five.join(" ")).collect()
}

#[test]
fn no_two_templates_share_half_of_their_shingles() {
    let built_in = Texts::built_in();
    let samples: Vec<(u64, Vec<HashSet<String>>)> = all(&built_in)
        .map(|one| (one.line, (0..SAMPLES).map(|dice| shingles(&one.text(&anybody(), dice))).collect()))
        .collect();
    for (place, (line, one)) in samples.iter().enumerate() {
        assert!(one.iter().all(|shingles| shingles.len() >= 5), "line {line} is too short to be told apart");
        for (other_line, other) in &samples[place + 1..] {
            for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
                let shared = a.intersection(b).count();
                assert!(2 * shared < a.len().min(b.len()), "lines {line} and {other_line} share {shared} shingles");
            }
        }
    }
}

#[test]
fn one_template_gives_many_texts() {
    let built_in = Texts::built_in();
    for one in all(&built_in) {
        let texts: HashSet<String> = (0..200).map(|dice| one.text(&anybody(), dice)).collect();
        assert!(texts.len() >= 20, "line {} has only {} texts", one.line, texts.len());
    }
}

#[test]
fn built_in_texts_read_well_whoever_is_known() {
    let built_in = Texts::built_in();
    let everybody = [Names::default(), anybody(), Names::of("Ada", ""), Names::of("", "Ben")];
    for (one, dice) in all(&built_in).flat_map(|one| (0..20).map(move |dice| (one, dice))) {
        for names in &everybody {
            let text = one.text(names, dice);
            for odd in ["  ", " .", " ,", " ?", "..", ",,", "{", "}", "|", "\\", "http", "www", "@", "\n\n\n"] {
                assert!(!text.contains(odd), "line {}: {odd:?} in {text}", one.line);
            }
            let paragraphs: Vec<&str> = text.trim_end().split("\n\n").collect();
            assert!(
                paragraphs.iter().all(|paragraph| paragraph.starts_with(|c: char| c.is_uppercase() || c == '"')),
                "{text}"
            );
            assert!(names.recipient.is_some() || !text.contains("Ben"), "{text}");
        }
        let subject = one.subject(dice);
        assert!(subject.chars().count() <= 70, "{subject}");
    }
}

#[test]
fn the_same_roll_says_the_same() {
    let built_in = Texts::built_in();
    let (one, again) = (built_in.mail(7), built_in.mail(7));
    assert_eq!((&one.subject, one.text(&anybody())), (&again.subject, again.text(&anybody())));
    let different: HashSet<String> = (0..100).map(|dice| built_in.mail(dice).text(&anybody())).collect();
    assert!(different.len() >= 95, "{}", different.len());
}

#[test]
fn own_texts_replace_the_built_in_ones_of_their_kind() {
    let built_in = Texts::built_in();
    let mails = own("=== mail\nSubject: Ours\n\nHello.\n");
    assert_eq!((mails.mail(1).subject.as_str(), mails.mail(1).text(&anybody()).as_str()), ("Ours", "Hello.\n"));
    assert_eq!(mails.count(Kind::Reply), built_in.count(Kind::Reply));
    let replies = own("=== reply\n\nYes.\n");
    assert_eq!(replies.reply(1, "Ours").text(&anybody()), "Yes.\n");
    assert_eq!(replies.count(Kind::Mail), built_in.count(Kind::Mail));
}

#[test]
fn a_reply_says_re_once() {
    for (original, expected) in [
        ("Lunch?", "Re: Lunch?"),
        ("Re: Lunch?", "Re: Lunch?"),
        ("RE: re:Re : Lunch?", "Re: Lunch?"),
        ("Re[3]: Lunch?", "Re: Lunch?"),
        ("Reminder: keys", "Re: Reminder: keys"),
        ("Re-entry: keys", "Re: Re-entry: keys"),
        ("", "Re:"),
        ("re: ", "Re:"),
    ] {
        assert_eq!(reply_subject(original), expected, "{original:?}");
        assert_eq!(Texts::built_in().reply(3, original).subject, expected);
    }
}

proptest! {
    #[test]
    fn a_reply_to_a_reply_keeps_its_subject(original in "(re|Re|RE| |:|\\[2\\]|x){0,12}") {
        let once = reply_subject(&original);
        prop_assert_eq!(reply_subject(&once), once);
    }

    #[test]
    fn every_roll_and_every_name_gives_a_text_on_clean_lines(
        dice in any::<u64>(), sender in any::<String>(), recipient in any::<String>(),
    ) {
        let draft = Texts::built_in().mail(dice);
        let text = draft.text(&Names::of(&sender, &recipient));
        prop_assert!(!draft.subject.is_empty() && draft.subject == one_line(&draft.subject));
        prop_assert_eq!(plain(&text), text);
    }
}
