//! A password goes to the mail host and nowhere else.

use base64::{Engine, prelude::BASE64_STANDARD};
use warmup::{
    domain::{
        mailbox::Security,
        outcome::{Effects, OutcomeKind},
    },
    ports::{Mailer, SendPermit},
};
use warmup_support::smtp::{Act, FaultyHost, Moment, Script};

use crate::world::{PASSWORD, USERNAME, config, mail, mailer, send_to};

fn plain() -> String {
    BASE64_STANDARD.encode(format!("\0{USERNAME}\0{PASSWORD}"))
}

#[tokio::test]
async fn a_password_that_does_not_open_opens_no_connection_and_disables_nobody() {
    let host = FaultyHost::start(Script::usual()).await;
    let mut mail = mail(host.port(), Security::None);
    mail.flight.sealed_password = b"broken".to_vec();
    let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
    assert_eq!((outcome.fate, outcome.reason), (OutcomeKind::Refused, "seal-broken"));
    assert_eq!(outcome.effects, Effects::default());
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn a_mailbox_that_does_not_log_in_keeps_its_password_sealed() {
    let host = FaultyHost::start(Script::usual()).await;
    let mut mail = mail(host.port(), Security::None);
    (mail.flight.username, mail.flight.sealed_password) = (String::new(), b"broken".to_vec());
    let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
    assert_eq!(outcome.fate, OutcomeKind::Sent, "{outcome:?}");
    assert!(!host.heard().contains("AUTH"));
}

#[tokio::test]
async fn a_host_that_repeats_the_password_does_not_get_it_into_a_note() {
    let echoes = format!("535 5.7.8 {PASSWORD} {} {}\r\n", plain(), BASE64_STANDARD.encode(PASSWORD));
    let seen = send_to(Script::usual().at(Moment::Auth, [Act::say(&echoes)])).await;
    assert!(seen.host.heard().contains(&plain()), "the host was told");
    let told = format!("{:?}", seen.outcome);
    for secret in [PASSWORD, &plain(), &BASE64_STANDARD.encode(PASSWORD)] {
        assert!(!told.contains(secret), "{told}");
    }
    assert_eq!(seen.outcome.note, "[redacted] [redacted] [redacted]");
}

#[tokio::test]
async fn a_long_password_is_redacted_whole_where_a_host_repeats_what_is_no_reply() {
    let password = "long-password-".repeat(16);
    let said = BASE64_STANDARD.encode(format!("\0{USERNAME}\0{password}"));
    let echo = Act::say(&format!("AUTH PLAIN {said}\r\n"));
    let host = FaultyHost::start(Script::usual().at(Moment::Auth, [echo])).await;
    let mut mail = mail(host.port(), Security::None);
    mail.flight.sealed_password = password.into_bytes();
    let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
    assert_eq!(outcome.reason, "protocol-error");
    assert!(outcome.note.ends_with("AUTH PLAIN [redacted]"), "{}", outcome.note);
}

#[tokio::test]
async fn login_is_spoken_where_plain_is_not_offered() {
    let script = Script::usual()
        .at(Moment::Ehlo, [Act::say("250-host.test\r\n250 AUTH LOGIN\r\n")])
        .at(Moment::Auth, [Act::say("334 VXNlcm5hbWU6\r\n")]);
    let seen = send_to(script).await;
    assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{:?}", seen.outcome);
    let heard = seen.host.heard();
    assert!(heard.contains(&BASE64_STANDARD.encode(USERNAME)));
    assert!(heard.contains(&BASE64_STANDARD.encode(PASSWORD)));
}

#[tokio::test]
async fn a_challenge_that_is_not_understood_ends_the_dialogue() {
    let script = Script::usual().at(Moment::Auth, [Act::say("334 V2hhdD8=\r\n")]);
    let seen = send_to(script).await;
    assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "protocol-error"));
}

#[tokio::test]
async fn a_host_without_auth_is_a_matter_of_configuration() {
    let script = Script::usual().at(Moment::Ehlo, [Act::say("250 host.test\r\n")]);
    let seen = send_to(script).await;
    assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "auth-missing"));
    assert!(!seen.host.heard().contains("MAIL"));
}

#[tokio::test]
async fn a_mailbox_without_a_password_submits_without_auth() {
    let host = FaultyHost::start(Script::usual().at(Moment::Ehlo, [Act::say("250 host.test\r\n")])).await;
    let mut mail = mail(host.port(), Security::None);
    mail.flight.sealed_password = Vec::new();
    let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
    assert_eq!(outcome.fate, OutcomeKind::Sent);
}
