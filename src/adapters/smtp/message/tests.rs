//! These tests parse composed mails with another library: it must find exactly the intended fields, whatever the mail
//! holds.

use chrono::{DateTime, NaiveDate, Utc};
use mail_parser::{Message as Parsed, MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::*;
use crate::{
    domain::{
        content::judge_marker,
        id::{BatchId, FlightId, MailboxId, ShardId, UserId},
        mailbox::{Endpoint, Security},
        reply::ReplyPolicy,
        time::Weekdays,
    },
    ports::{Flight, Thread},
};

const FIELDS: [&str; 8] = ["From", "To", "Subject", "Date", "Message-ID", "X-Warmup", "MIME-Version", "Content-Type"];

fn mail(sender: &str, recipient: &str, subject: &str, text: &str) -> Submission {
    let party = |id, email: &str, name: &str| Participant {
        mailbox: MailboxId(id),
        email: email.into(),
        display_name: name.into(),
    };
    let flight = Flight {
        id: FlightId(1),
        batch: BatchId(1),
        shard: ShardId(0),
        day: NaiveDate::default(),
        user: UserId(1),
        sender: party(1, "anna@one.test", sender),
        recipient: party(2, "ben@two.test", recipient),
        round: 0,
        message_id: "018f-7@one.test".into(),
        subject: subject.into(),
        answers: None,
        answering: ReplyPolicy { rate: 0, zone: chrono_tz::UTC, days: Weekdays::ALL },
        endpoint: Endpoint { host: "mail.one.test".into(), port: 587, security: Security::Tls },
        username: String::new(),
        sealed_password: Vec::new(),
    };
    Submission { flight, text: text.into(), date: DateTime::<Utc>::UNIX_EPOCH, thread: None }
}

fn marked(mail: &Submission, header: &str) -> Vec<u8> {
    compose(mail, header).unwrap().bytes
}

fn bytes(mail: &Submission) -> Vec<u8> {
    marked(mail, "X-Warmup")
}

fn parsed(bytes: &[u8]) -> Parsed<'_> {
    MessageParser::default().parse(bytes).unwrap()
}

fn fields(message: &Parsed) -> Vec<String> {
    message.headers().iter().map(|header| header.name().to_owned()).collect()
}

/// Asserts that the lines of the head and of the whole message satisfy RFC 5322 section 2.1.1.
fn assert_lines(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n', '\0']), "{text:?}");
    assert!(text.lines().all(|line| line.len() <= 998), "{text}");
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.lines().all(|line| !line.trim().is_empty()), "{head}");
}

fn assert_as_meant(mail: &Submission, bytes: &[u8], fields_meant: &[&str]) {
    assert_lines(bytes);
    let message = parsed(bytes);
    assert_eq!(fields(&message), fields_meant);
    let name = |text: &str| Some(one_line(text)).filter(|name| !name.is_empty());
    let (from, to) = (message.from().unwrap().first().unwrap(), message.to().unwrap().first().unwrap());
    assert_eq!(message.from().unwrap().as_list().map(<[_]>::len), Some(1));
    assert_eq!(message.to().unwrap().as_list().map(<[_]>::len), Some(1));
    assert_eq!((from.address(), to.address()), (Some("anna@one.test"), Some("ben@two.test")));
    assert_eq!(from.name().map(str::to_owned), name(&mail.flight.sender.display_name));
    assert_eq!(to.name().map(str::to_owned), name(&mail.flight.recipient.display_name));
    assert_eq!(message.subject().unwrap_or_default(), one_line(&mail.flight.subject));
    assert_eq!(message.message_id(), Some(mail.flight.message_id.as_str()));
    assert_eq!(message.parts.len(), 3, "one alternative of two parts");
}

#[test]
fn the_two_forms_say_the_same_and_nothing_is_fetched() {
    let text = "Schöne Grüße & <Anna>,\n\nsee you.\n\nBest\nBen\n";
    let bytes = bytes(&mail("Änne Müller", "李 小龙", "Grüße aus Köln", text));
    let message = parsed(&bytes);
    assert!(
        message.content_type().is_some_and(|kind| kind.ctype() == "multipart" && kind.subtype() == Some("alternative"))
    );
    assert_eq!((message.text_body_count(), message.html_body_count(), message.attachment_count()), (1, 1, 0));
    assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n"), text);
    let page = message.body_html(0).unwrap();
    assert!(page.contains("<p>Schöne Grüße &amp; &lt;Anna&gt;,</p>") && page.contains("Best<br>"), "{page}");
    assert!(!page.contains("http") && !page.contains("src") && !page.contains("style"), "{page}");
    assert_eq!(message.header_raw("X-Warmup").map(str::trim), Some(MARK));
}

#[test]
fn the_same_mail_is_the_same_bytes() {
    let one = mail("Anna", "Ben", "Lunch", "Yes.\n");
    assert_eq!(bytes(&one), bytes(&one));
}

#[test]
fn a_reply_names_its_thread_on_folded_lines() {
    let earlier: Vec<String> = (0..40).map(|n| format!("018f{n:032x}@some-longer-domain.test")).collect();
    let mut reply = mail("Ben", "Anna", "Re: Lunch", "Yes.\n");
    reply.thread = Some(Thread::answering("018f-last@one.test", &earlier));
    let bytes = bytes(&reply);
    let with_thread = [&FIELDS[..6], &["In-Reply-To", "References"], &FIELDS[6..]].concat();
    assert_as_meant(&reply, &bytes, &with_thread);
    let message = parsed(&bytes);
    assert_eq!(message.in_reply_to().as_text(), Some("018f-last@one.test"));
    let references = message.references().as_text_list().unwrap();
    assert_eq!(references, [earlier, vec!["018f-last@one.test".to_owned()]].concat());
    let text = String::from_utf8(bytes.clone()).unwrap();
    let folded = text.lines().skip_while(|line| !line.starts_with("References:")).take_while(|line| line.len() > 1);
    assert!(folded.take(40).all(|line| line.len() <= 78));
}

#[test]
fn an_id_that_is_none_is_not_sent_wherever_it_stands() {
    for wrong in ["", "a b@c", "a>\r\nBcc: eve@evil.test", "<a@b>", "jörg@ä.test", &"a".repeat(901)] {
        let mut one = mail("Anna", "Ben", "Lunch", "Yes.\n");
        let unsendable = |mail: &Submission| matches!(compose(mail, "X"), Err(DialogueEnd::Unsendable(_)));
        one.thread = Some(Thread { in_reply_to: wrong.into(), references: Vec::new() });
        assert!(unsendable(&one), "{wrong:?}");
        one.thread = Some(Thread { in_reply_to: "a@b".into(), references: vec!["a@b".into(), wrong.into()] });
        assert!(unsendable(&one), "{wrong:?}");
        one.thread = None;
        one.flight.message_id = wrong.into();
        assert!(unsendable(&one), "{wrong:?}");
    }
}

/// Returns the unfolded lines of the field `name` (RFC 5322 section 2.2.3), and the length of the longest line.
fn field(bytes: &[u8], name: &str) -> (String, usize) {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let mut lines = text.split("\r\n").skip_while(|line| !line.starts_with(&format!("{name}: ")));
    let first = lines.next().unwrap();
    let lines: Vec<&str> = std::iter::once(first).chain(lines.take_while(|line| line.starts_with(' '))).collect();
    (lines.concat(), lines.iter().map(|line| line.len()).max().unwrap())
}

#[test]
fn a_long_ascii_subject_or_name_is_folded_and_not_encoded() {
    for words in 10..30 {
        let long = "A thing. ".repeat(words).trim_end().to_owned();
        let mail = mail(&format!("{long} \\ \"Anna\""), &long, &long, "Yes.\n");
        let bytes = bytes(&mail);
        assert_as_meant(&mail, &bytes, &FIELDS);
        assert_eq!(field(&bytes, "Subject").0, format!("Subject: {}", one_line(&long)));
        assert_eq!(field(&bytes, "To").0, format!("To: \"{}\" <ben@two.test>", one_line(&long)));
        for name in ["From", "To", "Subject"] {
            let (value, longest) = field(&bytes, name);
            assert!(!value.contains("=?") && longest <= 78, "{longest}: {value}");
        }
    }
}

#[test]
fn a_word_that_is_longer_than_a_line_stands_on_a_line_of_its_own() {
    let word = "x".repeat(200);
    let bytes = bytes(&mail("Anna", "Ben", &format!("See {word} now"), "Yes.\n"));
    assert_eq!(field(&bytes, "Subject"), (format!("Subject: See {word} now"), 201));
}

#[test]
fn text_that_is_not_ascii_is_encoded() {
    let bytes = bytes(&mail("Änne Müller", "Ben", &"Grüße aus Köln ".repeat(9), "Yes.\n"));
    assert!(field(&bytes, "Subject").0.contains("=?utf-8?") && field(&bytes, "From").0.contains("=?utf-8?"));
    assert_eq!(field(&bytes, "To").0, "To: \"Ben\" <ben@two.test>");
}

/// Generates texts of an attacker who tries to add a header, and arbitrary texts.
fn evil() -> impl Strategy<Value = String> {
    let bait = prop_oneof![
        Just("\r\nBcc: eve@evil.test".to_owned()),
        Just("\r\n\r\n<html>".to_owned()),
        Just("\n X: 1".to_owned()),
        Just("\0".to_owned()),
        Just("\u{202e}\u{2066}".to_owned()),
        Just("=?utf-8?q?=0D=0ABcc:?=".to_owned()),
        Just("\"<eve@evil.test>, ".to_owned()),
        Just("a".repeat(2_000)),
        Just("ä b ".repeat(60)),
        "\\PC{0,20}",
        any::<String>(),
    ];
    prop::collection::vec(bait, 0..5).prop_map(|parts| parts.concat())
}

#[test]
fn an_address_that_others_may_read_as_two_is_none() {
    let mut mail = mail("Anna", "Ben", "Lunch", "Yes.\n");
    mail.flight.recipient.email = "\">,\"@one.test".into();
    let composed = compose(&mail, "X-Warmup");
    assert!(matches!(composed, Err(DialogueEnd::Unsendable(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_field_can_add_a_header_or_a_part(sender in evil(), recipient in evil(), subject in evil(), text in evil()) {
        let mail = mail(&sender, &recipient, &subject, &text);
        assert_as_meant(&mail, &bytes(&mail), &FIELDS);
    }

    #[test]
    fn no_address_can_add_a_header(email in evil(), local in "[a-z.\"<>\\r\\n, ]{0,12}") {
        for address in [email.clone(), format!("{email}@one.test"), format!("{local}@one.test")] {
            let mut mail = mail("Anna", "Ben", "Lunch", "Yes.\n");
            mail.flight.recipient.email = address;
            if let Ok(letter) = compose(&mail, "X-Warmup") {
                let message = parsed(&letter.bytes);
                prop_assert_eq!(fields(&message), FIELDS);
                prop_assert_eq!(message.to().unwrap().as_list().map(<[_]>::len), Some(1));
            }
        }
    }

    #[test]
    fn no_marker_can_add_a_header(name in prop_oneof![evil(), "[!-~]{1,70}", Just("X-Warmup\r\nBcc".to_owned())]) {
        if judge_marker(&name).is_err() {
            return Ok(());
        }
        let mail = mail("Anna", "Ben", "Lunch", "Yes.\n");
        let bytes = marked(&mail, &name);
        assert_lines(&bytes);
        let meant: Vec<&str> = FIELDS.iter().map(|field| if *field == "X-Warmup" { name.as_str() } else { field }).collect();
        prop_assert_eq!(fields(&parsed(&bytes)), meant);
    }
}
