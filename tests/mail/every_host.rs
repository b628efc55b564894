//! Hosts that do not do what they say, and are spoken to all the same. Each accepts every mail, once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::smtp::{Candidate, LoginTest, SmtpConfig, SmtpMailer},
    domain::{
        id::MailboxId,
        mailbox::{Endpoint, Security},
        outcome::{Outcome, OutcomeKind, Penalty, Stage},
    },
    ports::{Mailer, SendPermit},
};
use warmup_support::smtp::{Act, FaultyHost, Moment, Script};

use crate::world::{PASSWORD, USERNAME, config, impatient, mail, mailer, send_to, send_twice_to, send_with};

fn assert_both_sent([first, second]: &[Outcome; 2], host: &FaultyHost) {
    assert_eq!(
        (first.fate, second.fate),
        (OutcomeKind::Sent, OutcomeKind::Sent),
        "{first:?} {second:?} {}",
        host.heard()
    );
    let accepted = host.accepted();
    assert!(accepted.len() == 2 && accepted[0] != accepted[1], "{accepted:?}");
}

fn count(host: &FaultyHost, text: &str) -> usize {
    host.heard().matches(text).count()
}

/// A host that refuses PLAIN so, and takes LOGIN.
fn without_plain(refusal: &str) -> Script {
    Script::usual().when(Moment::Auth, "PLAIN", [Act::say(refusal)]).when(
        Moment::Auth,
        "LOGIN",
        [Act::say("334 VXNlcm5hbWU6\r\n")],
    )
}

#[tokio::test]
async fn a_refused_mechanism_is_followed_by_the_next_and_remembered() {
    for refusal in [
        "504 5.5.4 Unrecognized authentication type\r\n",
        "502 5.5.1 Not implemented\r\n",
        "503 5.5.1 Bad sequence\r\n",
        "501 5.5.4 Invalid argument\r\n",
        "535 5.7.4 Security features not supported\r\n",
        "553 No such mechanism\r\n",
    ] {
        let (outcomes, host) = send_twice_to(without_plain(refusal)).await;
        assert_both_sent(&outcomes, &host);
        assert_eq!((count(&host, "AUTH PLAIN"), count(&host, "AUTH LOGIN")), (1, 2), "{refusal}");
        assert_eq!(host.connections(), 2, "{refusal}");
    }
}

#[tokio::test]
async fn a_mechanism_whose_refusal_ended_the_connection_is_remembered() {
    let closes = Script::usual()
        .when(Moment::Auth, "PLAIN", [Act::say("504 5.5.4 Unrecognized\r\n"), Act::Close])
        .when(Moment::Auth, "LOGIN", [Act::say("334 VXNlcm5hbWU6\r\n")]);
    let (outcomes, host) = send_twice_to(closes).await;
    assert_eq!(outcomes.map(|outcome| outcome.fate), [OutcomeKind::Refused, OutcomeKind::Sent]);
    assert_eq!((count(&host, "AUTH PLAIN"), count(&host, "AUTH LOGIN")), (1, 1));
}

#[tokio::test]
async fn a_refused_login_is_not_tried_by_another_mechanism() {
    for refusal in ["535 5.7.8 Bad credentials\r\n", "454 4.7.0 Later\r\n", "534 5.7.9 Too weak\r\n"] {
        let seen = send_to(without_plain(refusal)).await;
        assert_eq!(seen.outcome.fate, OutcomeKind::Refused);
        assert!(!seen.host.heard().contains("AUTH LOGIN"), "{refusal}");
    }
}

#[tokio::test]
async fn if_all_mechanisms_are_refused_the_last_reply_counts() {
    let seen = send_to(without_plain("504 5.5.4 No\r\n").when(Moment::AuthFirst, "", [Act::say("504 No\r\n")])).await;
    assert_eq!((seen.outcome.reason, seen.host.connections()), ("auth-failed", 1));
    let wrong = Script::usual().at(Moment::AuthSecond, [Act::say("535 5.7.8 Bad credentials\r\n")]);
    let seen = send_to(wrong.when(Moment::Auth, "PLAIN", [Act::say("504 No\r\n")]).when(
        Moment::Auth,
        "LOGIN",
        [Act::say("334 \r\n")],
    ))
    .await;
    assert_eq!((seen.outcome.reason, seen.outcome.effects.sender), ("auth-refused", Some(Penalty::Disable)));
}

#[tokio::test]
async fn login_answers_by_the_order_of_the_prompts_whatever_they_say() {
    let encoded = |text: &str| format!("334 {}\r\n", BASE64_STANDARD.encode(text));
    let prompts = [
        (encoded("user"), encoded("pass")),
        ("334\r\n".to_owned(), "334\r\n".to_owned()),
        ("334 \r\n".to_owned(), "334 \r\n".to_owned()),
        ("334 Username:\r\n".to_owned(), "334 Password:\r\n".to_owned()),
        (encoded("Password:"), encoded("Username:")),
    ];
    for (first, second) in prompts {
        let script = Script::usual()
            .at(Moment::Ehlo, [Act::say("250-host.test\r\n250 AUTH LOGIN\r\n")])
            .at(Moment::Auth, [Act::say(&first)])
            .at(Moment::AuthFirst, [Act::say(&second)]);
        let seen = send_to(script).await;
        assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{first:?}: {:?}", seen.outcome);
        let [user, password] = [USERNAME, PASSWORD].map(|text| BASE64_STANDARD.encode(text));
        assert!(seen.host.heard().contains(&format!("AUTH LOGIN\r\n{user}\r\n{password}\r\n")), "{first:?}");
    }
}

#[tokio::test]
async fn a_host_that_offers_login_by_its_old_keyword_alone_is_logged_in_to() {
    let script = Script::usual().at(Moment::Ehlo, [Act::say("250-host.test\r\n250-AUTH=LOGIN PLAIN\r\n250 SIZE\r\n")]);
    let seen = send_to(script).await;
    assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{:?}", seen.outcome);
    assert!(seen.host.heard().contains("AUTH PLAIN "));
}

#[tokio::test]
async fn a_pasted_password_is_prepared_for_plain() {
    let host = FaultyHost::start(Script::usual()).await;
    let mut mail = mail(host.port(), Security::None);
    mail.flight.sealed_password = "abcd\u{a0}efgh\u{200b}".into();
    let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
    assert_eq!(outcome.fate, OutcomeKind::Sent);
    let said = BASE64_STANDARD.encode(format!("\0{USERNAME}\0abcd efgh"));
    assert!(host.heard().contains(&format!("AUTH PLAIN {said}\r\n")), "{}", host.heard());
}

#[tokio::test]
async fn a_prepared_password_that_a_host_repeats_is_redacted() {
    let said = BASE64_STANDARD.encode(format!("\0{USERNAME}\0abcd efgh"));
    let echo = Act::say(&format!("535 5.7.8 abcd efgh {said}\r\n"));
    let host = FaultyHost::start(Script::usual().at(Moment::Auth, [echo])).await;
    let mut mail = mail(host.port(), Security::None);
    mail.flight.sealed_password = "abcd\u{a0}efgh\u{200b}".into();
    let outcome = mailer(config()).send(&mail, &SendPermit::always()).await.outcome;
    assert_eq!(outcome.note, "[redacted] [redacted]");
}

#[tokio::test]
async fn a_host_that_refuses_several_commands_in_one_packet_gets_one_at_a_time_from_then_on() {
    let (outcomes, host) = send_twice_to(Script::usual().pipelining().refusing_excess()).await;
    assert_both_sent(&outcomes, &host);
    assert_eq!(host.connections(), 3, "the first mail takes two");
}

#[tokio::test]
async fn a_host_that_refuses_pipelining_in_words_gets_one_command_at_a_time() {
    for words in ["554 5.5.0 Error: improper use of SMTP command pipelining\r\n", "554 SMTP synchronization error\r\n"]
    {
        let script = Script::usual().pipelining().refusing_excess().at(Moment::Excess, [Act::say(words)]);
        let (outcomes, host) = send_twice_to(script).await;
        assert_both_sent(&outcomes, &host);
        assert_eq!(host.connections(), 3, "{words}");
    }
}

#[tokio::test]
async fn a_host_that_drops_what_comes_in_one_packet_gets_one_command_at_a_time_from_then_on() {
    let host = FaultyHost::start(Script::usual().pipelining().dropping_excess()).await;
    // Only the missing answers end by time.
    let mailer = mailer(SmtpConfig { smtp_timeout: Duration::from_secs(2), ..config() });
    let first = mailer.send(&mail(host.port(), Security::None), &SendPermit::always()).await.outcome;
    let second = mailer.send(&mail(host.port(), Security::None), &SendPermit::always()).await.outcome;
    assert_both_sent(&[first, second], &host);
    assert_eq!(host.connections(), 3);
    assert!(host.heard().ends_with("\r\n.\r\nQUIT\r\n"), "the goodbye comes after the answer");
}

#[tokio::test]
async fn a_refused_address_is_no_reason_to_connect_again() {
    let script = Script::usual().pipelining().at(Moment::Rcpt, [Act::say("550 5.1.1 User unknown\r\n")]);
    let seen = send_to(script.at(Moment::Data, [Act::say("503 5.5.1 No valid recipients\r\n")])).await;
    assert_eq!((seen.outcome.reason, seen.host.connections()), ("partner-unknown", 1));
}

#[tokio::test]
async fn a_host_that_is_silent_at_a_command_is_tried_twice_at_most_and_gets_no_dot() {
    for moment in [Moment::Rcpt, Moment::Data] {
        let seen = send_with(
            impatient(),
            Script::usual().pipelining().at(moment, [Act::Hang]),
            SendPermit::always(),
            Security::None,
        )
        .await;
        assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "timeout"), "{moment:?}");
        assert_eq!((seen.host.connections(), count(&seen.host, "\r\n.\r\n")), (2, 0), "{moment:?}");
    }
}

#[tokio::test]
async fn silence_at_the_first_command_is_no_reason_to_connect_again() {
    let script = Script::usual().pipelining().at(Moment::Mail, [Act::Hang]);
    let seen = send_with(impatient(), script, SendPermit::always(), Security::None).await;
    assert_eq!((seen.outcome.stage, seen.host.connections()), (Stage::Mail, 1));
}

#[tokio::test]
async fn silence_after_the_dot_is_never_followed_by_another_connection() {
    let script = Script::usual().pipelining().at(Moment::Dot, [Act::Hang]);
    let seen = send_with(impatient(), script, SendPermit::always(), Security::None).await;
    assert_eq!((seen.outcome.fate, seen.host.connections()), (OutcomeKind::Uncertain, 1));
}

#[tokio::test]
async fn a_503_to_the_dot_is_never_followed_by_another_connection() {
    let seen = send_to(Script::usual().pipelining().at(Moment::Dot, [Act::say("503 5.5.1 Bad sequence\r\n")])).await;
    assert_eq!((seen.outcome.fate, seen.host.connections()), (OutcomeKind::Refused, 1));
}

#[tokio::test]
async fn a_lost_lease_ends_the_mail_before_its_second_connection() {
    let held = Arc::new(AtomicBool::new(true));
    let (lease, lost) = (Arc::clone(&held), held);
    let acts = [Act::run(move || lost.store(false, Ordering::SeqCst)), Act::say("503 5.5.0 One command at a time\r\n")];
    let script = Script::usual().pipelining().refusing_excess().at(Moment::Excess, acts);
    let gate = SendPermit { open: Arc::new(move || lease.load(Ordering::SeqCst)), cancel: CancellationToken::new() };
    let seen = send_with(config(), script, gate, Security::None).await;
    assert_eq!((seen.outcome.fate, seen.host.connections()), (OutcomeKind::Refused, 1));
}

async fn rehearse(mailer: &SmtpMailer, host: &FaultyHost) -> LoginTest {
    let endpoint = Endpoint { host: "127.0.0.1".into(), port: host.port(), security: Security::None };
    let candidate = Candidate {
        mailbox: MailboxId(1),
        email: "anna@one.test".into(),
        endpoint,
        username: USERNAME.into(),
        sealed_password: PASSWORD.into(),
    };
    mailer.test_login(&candidate, &SendPermit::always()).await
}

#[tokio::test]
async fn a_test_of_a_mailbox_gives_the_commands_as_a_mail_does() {
    let usual = FaultyHost::start(Script::usual().pipelining()).await;
    assert!(rehearse(&mailer(config()), &usual).await.fault.is_none());
    assert!(usual.heard().contains("RCPT TO:<anna@one.test>\r\nRSET\r\n"));
    // In one packet: the host says nothing before it has heard all of it.
    let whole = [Act::say("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n")];
    let waiting = Script::usual().pipelining().at(Moment::Mail, []).at(Moment::Rcpt, []);
    let waiting = FaultyHost::start(waiting.when(Moment::Quit, "RSET", whole)).await;
    assert!(rehearse(&mailer(config()), &waiting).await.fault.is_none(), "{}", waiting.heard());
}

#[tokio::test]
async fn a_test_of_a_mailbox_falls_back_as_a_mail_does() {
    let reset = |script: Script| script.when(Moment::Quit, "RSET", [Act::say("250 2.0.0 Ok\r\n")]);
    for script in [Script::usual().pipelining().refusing_excess(), without_plain("504 5.5.4 No\r\n")] {
        let host = FaultyHost::start(reset(script)).await;
        let tested = rehearse(&mailer(config()), &host).await;
        assert!(tested.fault.is_none(), "{:?} {}", tested.fault, host.heard());
        assert!(!host.heard().contains("DATA"));
    }
}

#[tokio::test]
async fn a_greeting_may_come_later_than_an_answer() {
    let late = [Act::Wait(Duration::from_millis(900)), Act::say("220 host.test ESMTP\r\n")];
    let seen =
        send_with(impatient(), Script::usual().at(Moment::Greeting, late), SendPermit::always(), Security::None).await;
    assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{:?}", seen.outcome);
}

#[tokio::test]
async fn the_deadline_of_the_mail_ends_the_wait_for_a_greeting() {
    let short = SmtpConfig { mail_deadline: Duration::from_millis(400), ..config() };
    let script = Script::usual().at(Moment::Greeting, [Act::Hang]);
    let seen = send_with(short, script, SendPermit::always(), Security::None).await;
    assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "no-greeting"));
}

#[tokio::test]
async fn a_port_that_waits_for_tls_is_named_as_such() {
    // It listens and says nothing, as a port that speaks TLS from the start.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mailer = mailer(SmtpConfig { smtp_timeout: Duration::from_millis(100), ..config() });
    let outcome = mailer.send(&mail(port, Security::Starttls), &SendPermit::always()).await.outcome;
    assert_eq!((outcome.fate, outcome.stage, outcome.reason), (OutcomeKind::Refused, Stage::Greeting, "no-greeting"));
    assert!(outcome.note.contains("may speak TLS from the start"), "{}", outcome.note);
    assert_eq!((outcome.effects.sender, outcome.effects.host), (None, Some(Penalty::Strike)));
}

#[tokio::test]
async fn silence_after_a_greeting_says_nothing_about_tls() {
    let script = Script::usual().at(Moment::Ehlo, [Act::Hang]);
    let seen = send_with(impatient(), script, SendPermit::always(), Security::None).await;
    assert_eq!((seen.outcome.stage, seen.outcome.reason), (Stage::Greeting, "timeout"));
}

#[tokio::test]
async fn a_host_that_wants_a_full_name_gets_the_one_that_is_set() {
    let refusal = [Act::say("550 EHLO argument does not match a fully qualified name\r\n")];
    let script = || {
        let script = Script::usual().at(Moment::Ehlo, refusal.clone());
        script.when(Moment::Ehlo, "EHLO mail.one.test\r\n", [Act::say("250-host.test\r\n250 AUTH PLAIN\r\n")])
    };
    let with = |name: &str| SmtpConfig { hello_name: Some(name.to_owned()), ..config() };
    let seen = send_with(with("mail.one.test"), script(), SendPermit::always(), Security::None).await;
    assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{:?}", seen.outcome);
    let seen = send_with(with("[192.0.2.1]"), script(), SendPermit::always(), Security::None).await;
    assert!(seen.host.heard().starts_with("EHLO [192.0.2.1]\r\n"));
    assert_eq!((seen.outcome.reason, seen.outcome.effects.sender), ("helo-refused", None));
    assert_eq!(seen.outcome.effects.host, Some(Penalty::Strike), "its mailboxes are not rested for an hour");
}
