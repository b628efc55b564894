//! The message that arrives.

use std::time::Duration;

use mail_parser::MessageParser;
use warmup::{
    domain::{
        content::{Names, Texts},
        mailbox::Security,
        outcome::{Effects, OutcomeKind, Penalty},
    },
    ports::{Mailer, SendPermit, Submission, Thread},
};
use warmup_support::smtp::{FaultyHost, Script};

use crate::world::{config, mail, mailer};

async fn sent(change: impl FnOnce(&mut Submission)) -> (Submission, String, String) {
    let host = FaultyHost::start(Script::usual()).await;
    let mut mail = mail(host.port(), Security::None);
    change(&mut mail);
    let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
    assert_eq!(outcome.fate, OutcomeKind::Sent, "{outcome:?}");
    let heard = host.heard();
    let (envelope, rest) = heard.split_once("DATA\r\n").unwrap();
    let (body, _) = rest.split_once("\r\n.\r\n").unwrap();
    (mail, envelope.to_owned(), body.replace("\r\n..", "\r\n."))
}

#[tokio::test]
async fn the_message_says_what_the_mail_says() {
    let (mail, envelope, body) = sent(|mail| {
        mail.flight.sender.display_name = "Änne Müller".into();
        mail.flight.subject = "Grüße aus Köln".into();
        mail.text = "Schöne Grüße!\n.\n..\nBis bald\n".into();
    })
    .await;
    assert!(envelope.contains("MAIL FROM:<anna@one.test>\r\n"));
    assert!(envelope.contains("RCPT TO:<ben@two.test>\r\n"));
    assert!(body.is_ascii());
    let message = MessageParser::default().parse(body.as_bytes()).unwrap();
    assert_eq!(message.subject(), Some("Grüße aus Köln"));
    assert_eq!(message.message_id(), Some(mail.flight.message_id.as_str()));
    let from = message.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Änne Müller"), Some("anna@one.test")));
    assert_eq!(message.to().unwrap().first().unwrap().address(), Some("ben@two.test"));
    assert_eq!(message.date().unwrap().to_rfc3339(), "2026-11-24T09:30:00Z");
    assert_eq!(message.header_raw("X-Warmup").map(str::trim), Some(warmup::domain::content::MARK));
    assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n").trim_end(), "Schöne Grüße!\n.\n..\nBis bald");
}

#[tokio::test]
async fn text_and_html_say_the_same_and_fetch_nothing() {
    let draft = Texts::built_in().mail(42);
    let text = draft.text(&Names::of("Anna Ahlberg", "Ben Brown"));
    let (_, _, body) = sent(|mail| {
        mail.flight.subject = draft.subject.clone();
        mail.text = text.clone();
    })
    .await;
    let message = MessageParser::default().parse(body.as_bytes()).unwrap();
    assert_eq!((message.text_body_count(), message.html_body_count(), message.attachment_count()), (1, 1, 0));
    assert_eq!(message.subject(), Some(draft.subject.as_str()));
    let page = message.body_html(0).unwrap();
    let paragraph = text.split("\n\n").nth(1).unwrap().replace('\'', "&#39;").replace('"', "&quot;");
    assert!(page.contains(&format!("<p>{paragraph}</p>")), "{page}");
    assert!(["http", "src=", "href", "<img", "<style"].iter().all(|remote| !page.contains(remote)), "{page}");
    assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n"), text);
    assert!(body.lines().all(|line| line.len() <= 78), "{body}");
}

#[tokio::test]
async fn a_reply_stands_in_its_thread() {
    let first = "018f-1@two.test";
    let (_, _, body) = sent(|mail| {
        mail.flight.subject = Texts::built_in().reply(7, "RE: Grüße").subject;
        mail.thread = Some(Thread::answering(first, &[]));
    })
    .await;
    let message = MessageParser::default().parse(body.as_bytes()).unwrap();
    assert_eq!(message.subject(), Some("Re: Grüße"));
    assert_eq!(message.thread_name(), Some("Grüße"));
    assert_eq!(message.in_reply_to().as_text(), Some(first));
    assert_eq!(message.references().as_text(), Some(first));
}

#[tokio::test]
async fn a_mail_that_begins_a_thread_answers_nothing() {
    let (_, _, body) = sent(|_| {}).await;
    let message = MessageParser::default().parse(body.as_bytes()).unwrap();
    assert!(message.in_reply_to().is_empty() && message.references().is_empty(), "{body}");
}

#[tokio::test]
async fn no_field_can_add_a_header() {
    let evil = "x\r\nBcc: eve@evil.test\r\n\r\nbody";
    let (_, envelope, body) = sent(|mail| {
        mail.flight.sender.display_name = evil.into();
        mail.flight.recipient.display_name = evil.into();
        mail.flight.subject = evil.into();
    })
    .await;
    let message = MessageParser::default().parse(body.as_bytes()).unwrap();
    assert!(message.bcc().is_none(), "{body}");
    assert!(!body.lines().any(|line| line.to_ascii_lowercase().starts_with("bcc")), "{body}");
    assert_eq!(envelope.matches("RCPT").count(), 1);
}

#[tokio::test]
async fn a_message_id_with_more_in_it_is_not_sent() {
    let host = FaultyHost::start(Script::usual()).await;
    let mut mail = mail(host.port(), Security::None);
    mail.flight.message_id.push_str(">\r\nBcc: eve@evil.test");
    let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
    assert_eq!((outcome.fate, outcome.reason), (OutcomeKind::Refused, "message-unsendable"));
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn an_address_that_is_none_is_not_sent() {
    let host = FaultyHost::start(Script::usual()).await;
    for address in ["", "ben", "ben@two.test>\r\nRCPT TO:<eve@evil.test", "b\r\nen@two.test"] {
        let mut mail = mail(host.port(), Security::None);
        mail.flight.recipient.email = address.into();
        let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
        assert_eq!((outcome.fate, outcome.reason), (OutcomeKind::Refused, "message-unsendable"), "{address:?}");
    }
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn a_partner_or_a_sender_whose_address_no_host_takes_costs_no_connection_and_pays_for_it() {
    let host = FaultyHost::start(Script::usual()).await;
    for address in ["\"x,1\"@two.test", "x@localhost", "x@[127.0.0.1]"] {
        let mut mail = mail(host.port(), Security::None);
        mail.flight.recipient.email = address.into();
        let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
        let excluded = Effects { partner: Some(Penalty::Disable), ..Effects::default() };
        assert_eq!(
            (outcome.reason, outcome.effects, outcome.reply),
            ("message-unsendable", excluded, None),
            "{address}"
        );
        mail.flight.sender.email = address.into();
        let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
        let rests = Effects { sender: Some(Penalty::Pause(Duration::from_hours(24))), ..Effects::default() };
        assert_eq!((outcome.reason, outcome.effects), ("message-unsendable", rests), "{address}");
    }
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn an_address_beyond_ascii_needs_a_host_that_takes_it() {
    let host = FaultyHost::start(Script::usual()).await;
    let mut mail = mail(host.port(), Security::None);
    mail.flight.recipient.email = "jörg@two.test".into();
    let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
    assert_eq!((outcome.fate, outcome.reason), (OutcomeKind::Refused, "message-unsendable"));
}
