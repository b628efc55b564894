//! What is certain: a complete 2yz to the dot is sent, every fault before the dot is a refusal.

use std::{
    ops::Add,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::smtp::SmtpConfig,
    domain::{
        mailbox::Security,
        outcome::{Effects, Outcome, OutcomeKind, Penalty, Stage},
    },
    ports::{Mailer, SendPermit},
};
use warmup_support::smtp::{Act, FaultyHost, Moment, Script};

use crate::world::{config, impatient, mail, mailer, send_impatiently_to, send_to, send_with};

/// When a host has a turn before the dot, and the stage that we are at then.
const BEFORE_THE_DOT: [(Moment, Stage); 6] = [
    (Moment::Greeting, Stage::Greeting),
    (Moment::Ehlo, Stage::Greeting),
    (Moment::Auth, Stage::Auth),
    (Moment::Mail, Stage::Mail),
    (Moment::Rcpt, Stage::Rcpt),
    (Moment::Data, Stage::Data),
];

/// A host that takes one command at a time, and one that takes several.
fn both() -> [Script; 2] {
    [Script::usual(), Script::usual().pipelining()]
}

#[tokio::test]
async fn a_250_to_the_dot_is_sent() {
    for script in both() {
        let seen = send_to(script).await;
        assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Sent, ""), "{:?}", seen.outcome);
        let reply = seen.outcome.reply.unwrap();
        assert_eq!((reply.code, reply.enhanced), (250, Some([2, 0, 0])));
        assert_eq!(reply.text, "Ok: queued as 4XyZ");
        assert!(seen.host.heard().ends_with("\r\n.\r\nQUIT\r\n"));
    }
}

#[tokio::test]
async fn a_host_that_takes_several_commands_gets_the_envelope_at_once() {
    // It says nothing before it has heard all of it.
    let answers = [Act::say("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"), Act::say("354 Go on\r\n")];
    let script = Script::usual().pipelining().at(Moment::Mail, []).at(Moment::Rcpt, []).at(Moment::Data, answers);
    let seen = send_to(script).await;
    assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{:?}", seen.outcome);
    assert!(seen.host.heard().contains("RCPT TO:<ben@two.test>\r\nDATA\r\n"));
}

#[tokio::test]
async fn another_gets_one_command_at_a_time() {
    let seen = send_to(Script::usual().at(Moment::Rcpt, [Act::say("550 5.1.1 User unknown\r\n")])).await;
    assert!(seen.host.heard().ends_with("RCPT TO:<ben@two.test>\r\nQUIT\r\n"), "{}", seen.host.heard());
}

#[tokio::test]
async fn a_host_that_takes_several_commands_gets_the_quit_with_the_dot() {
    // It says nothing of the mail before it has heard the goodbye.
    let answers = [Act::say("250 2.0.0 Ok: queued as 4XyZ\r\n221 2.0.0 Bye\r\n"), Act::Close];
    let seen = send_to(Script::usual().pipelining().at(Moment::Dot, []).at(Moment::Quit, answers)).await;
    assert_eq!((seen.outcome.fate, seen.outcome.note.as_str()), (OutcomeKind::Sent, "Ok: queued as 4XyZ"));
    assert!(seen.host.heard().ends_with("\r\n.\r\nQUIT\r\n"));
}

#[tokio::test]
async fn a_host_that_leaves_after_its_answer_to_the_dot_has_taken_or_refused_the_mail() {
    for (said, fate) in [("250 2.0.0 Ok: queued\r\n", OutcomeKind::Sent), ("554 5.7.1 No\r\n", OutcomeKind::Refused)] {
        for end in [Act::Close, Act::Reset, Act::Hang] {
            for script in both() {
                let seen = send_to(script.at(Moment::Dot, [Act::say(said), end.clone()])).await;
                assert_eq!(seen.outcome.fate, fate, "{said:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_envelope_gets_no_body_though_its_host_asks_for_one() {
    for moment in [Moment::Mail, Moment::Rcpt] {
        let seen = send_to(Script::usual().pipelining().at(moment, [Act::say("550 5.7.1 No\r\n")])).await;
        assert_eq!((seen.outcome.fate, seen.outcome.reply.unwrap().code), (OutcomeKind::Refused, 550), "{moment:?}");
        assert!(seen.host.heard().ends_with("DATA\r\n"), "{}", seen.host.heard());
    }
}

#[tokio::test]
async fn a_refused_envelope_ends_with_a_goodbye() {
    let script = Script::usual().pipelining().at(Moment::Rcpt, [Act::say("550 5.1.1 User unknown\r\n")]);
    let seen = send_to(script.at(Moment::Data, [Act::say("554 5.5.1 No valid recipients\r\n")])).await;
    assert_eq!((seen.outcome.stage, seen.outcome.reason), (Stage::Rcpt, "partner-unknown"));
    assert!(seen.host.heard().ends_with("DATA\r\nQUIT\r\n"), "{}", seen.host.heard());
}

#[tokio::test]
async fn a_whole_multi_line_250_is_sent() {
    let dot = [Act::say("250-2.0.0 Ok\r\n"), Act::say("250-2.0.0 queued\r\n250 2.0.0 as 4XyZ\r\n")];
    let seen = send_to(Script::usual().at(Moment::Dot, dot)).await;
    assert_eq!(seen.outcome.fate, OutcomeKind::Sent);
    assert_eq!(seen.outcome.note, "Ok queued as 4XyZ");
}

#[tokio::test]
async fn a_250_that_the_library_would_not_read_is_sent() {
    for said in ["250\r\n", "250-gr\u{fc}\u{df}e\r\n250 ok\r\n"] {
        let latin1 = said.chars().map(|c| c as u8).collect();
        let seen = send_to(Script::usual().at(Moment::Dot, [Act::Say(latin1)])).await;
        assert_eq!(seen.outcome.fate, OutcomeKind::Sent, "{said:?}");
    }
}

#[tokio::test]
async fn a_quit_without_an_answer_changes_nothing() {
    let hanging = Script::usual().at(Moment::Quit, [Act::Hang]);
    assert_eq!(send_to(hanging).await.outcome.fate, OutcomeKind::Sent);
    let closing = Script::usual().at(Moment::Quit, [Act::Reset]);
    assert_eq!(send_to(closing).await.outcome.fate, OutcomeKind::Sent);
}

#[tokio::test]
async fn a_refusal_at_any_stage_is_definite() {
    for (moment, stage) in BEFORE_THE_DOT.into_iter().chain([(Moment::Dot, Stage::Dot)]) {
        for code in [451, 554] {
            for script in both() {
                let said = Act::say(&format!("{code}-no\r\n{code} never\r\n"));
                let seen = send_to(script.at(moment, [said])).await;
                let reply = seen.outcome.reply.clone().unwrap();
                assert_eq!((seen.outcome.fate, seen.outcome.stage), (OutcomeKind::Refused, stage), "{moment:?} {code}");
                assert_eq!((reply.code, reply.text.as_str()), (code, "no never"));
                let dots = usize::from(moment == Moment::Dot);
                assert_eq!(seen.host.heard().matches("\r\n.\r\n").count(), dots, "{moment:?} {code}");
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_and_then_silence_is_a_refusal() {
    for moment in [Moment::Rcpt, Moment::Data, Moment::Dot] {
        for script in both() {
            let seen = send_to(script.at(moment, [Act::say("554 5.0.0 no\r\n"), Act::Hang])).await;
            assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "refused"), "{moment:?}");
            assert_eq!(seen.outcome.effects, Effects::default());
        }
    }
}

#[tokio::test]
async fn a_connection_lost_before_the_dot_is_definite() {
    for (moment, _) in BEFORE_THE_DOT {
        for act in [Act::Close, Act::Reset] {
            for script in both() {
                let seen = send_to(script.at(moment, [act.clone()])).await;
                assert_eq!(
                    (seen.outcome.fate, seen.outcome.reason),
                    (OutcomeKind::Refused, "connection-lost"),
                    "{moment:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn silence_before_the_dot_is_definite() {
    for (moment, stage) in BEFORE_THE_DOT {
        for script in both() {
            let Outcome { fate, stage: seen, reason, .. } =
                send_impatiently_to(script.at(moment, [Act::Hang])).await.outcome;
            let silent = if moment == Moment::Greeting { "no-greeting" } else { "timeout" };
            assert_eq!((fate, seen, reason), (OutcomeKind::Refused, stage, silent), "{moment:?}");
        }
    }
}

/// More than all socket buffers on the way hold: its dot can't be written before the host has read most of it.
const LARGE: usize = 4 << 20;

async fn send_large_to(config: SmtpConfig, script: Script) -> Outcome {
    let host = FaultyHost::start(script).await;
    let mut mail = mail(host.port(), Security::None);
    mail.text = "x".repeat(63).add("\n").repeat(LARGE / 64);
    mailer(config).send(&mail, &SendPermit::always()).await.outcome
}

#[tokio::test]
async fn a_connection_lost_or_stalled_in_the_body_is_definite() {
    let reset = send_large_to(config(), Script::usual().at(Moment::Body, [Act::Reset])).await;
    assert_eq!((reset.fate, reset.stage, reset.reason), (OutcomeKind::Refused, Stage::Data, "connection-lost"));
    let stalled = send_large_to(impatient(), Script::usual().at(Moment::Body, [Act::Hang])).await;
    assert_eq!((stalled.fate, stalled.stage, stalled.reason), (OutcomeKind::Refused, Stage::Data, "timeout"));
}

#[tokio::test]
async fn wrong_credentials_disable_the_sender_and_are_not_tried_again() {
    let seen = send_to(Script::usual().at(Moment::Auth, [Act::say("535 5.7.8 Bad credentials\r\n")])).await;
    assert_eq!(seen.outcome.reason, "auth-refused");
    assert_eq!(seen.outcome.effects.sender, Some(Penalty::Disable));
    assert_eq!(seen.host.heard().matches("AUTH").count(), 1);
}

#[tokio::test]
async fn an_unknown_partner_is_the_partners_matter() {
    let seen = send_to(Script::usual().at(Moment::Rcpt, [Act::say("550 5.1.1 User unknown\r\n")])).await;
    assert_eq!(seen.outcome.reason, "partner-unknown");
    assert_eq!(seen.outcome.effects, Effects { partner: Some(Penalty::Disable), ..Effects::default() });
}

#[tokio::test]
async fn a_host_that_answers_before_the_dot_is_not_believed() {
    for script in both() {
        let seen = send_to(script.at(Moment::Data, [Act::say("354 Go on\r\n250 2.0.0 Ok: queued\r\n")])).await;
        assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "protocol-error"));
        assert!(!seen.host.heard().contains("\r\n.\r\n"));
    }
}

#[tokio::test]
async fn an_answer_behind_a_full_read_is_not_believed() {
    // 512 bytes are read at once: the next of them would be taken for the reply to the dot.
    let answers = format!("354 {}\r\n250 2.0.0 Ok: queued\r\n", "x".repeat(506));
    let seen = send_to(Script::usual().at(Moment::Data, [Act::say(&answers)])).await;
    assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "protocol-error"));
    assert!(!seen.host.heard().contains("\r\n.\r\n"));
}

#[tokio::test]
async fn what_a_host_says_in_the_middle_of_a_body_is_a_refusal_or_nothing() {
    let says = async |text| send_large_to(config(), Script::usual().at(Moment::Body, [Act::say(text)])).await;
    let early = says("250 2.0.0 Ok: queued\r\n").await;
    assert_eq!((early.fate, early.stage, early.reason), (OutcomeKind::Refused, Stage::Data, "protocol-error"));
    let refused = says("552 5.3.4 Too much\r\n").await;
    assert_eq!((refused.fate, refused.stage, refused.reply.unwrap().code), (OutcomeKind::Refused, Stage::Data, 552));
}

#[tokio::test]
async fn a_host_that_leaves_gets_no_goodbye() {
    for moment in [Moment::Mail, Moment::Data] {
        let script = Script::usual().pipelining().at(Moment::Rcpt, [Act::say("550 5.1.1 User unknown\r\n")]);
        let seen = send_to(script.at(moment, [Act::say("421 4.3.2 Closing\r\n")])).await;
        assert_eq!(seen.outcome.fate, OutcomeKind::Refused, "{moment:?}");
        assert!(seen.host.heard().ends_with("DATA\r\n"), "{moment:?}: {}", seen.host.heard());
    }
}

#[tokio::test]
async fn a_host_that_does_not_ask_for_the_body_gets_none() {
    let seen = send_to(Script::usual().at(Moment::Data, [Act::say("250 2.0.0 Ok\r\n")])).await;
    assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "protocol-error"));
    assert!(!seen.host.heard().contains("Subject"));
}

#[tokio::test]
async fn a_lost_lease_stops_the_send_before_the_dot() {
    for script in both() {
        let held = Arc::new(AtomicBool::new(true));
        let (lease, lost) = (Arc::clone(&held), Arc::clone(&held));
        let data = [Act::run(move || lost.store(false, Ordering::SeqCst)), Act::say("354 Go on\r\n")];
        let gate =
            SendPermit { open: Arc::new(move || lease.load(Ordering::SeqCst)), cancel: CancellationToken::new() };
        let seen = send_with(config(), script.at(Moment::Data, data), gate, Security::None).await;
        assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "lease-lost"));
        assert_eq!(seen.outcome.effects, Effects::default());
        assert!(!seen.host.heard().contains("\r\n.\r\n"), "the dot left");
        assert!(!seen.host.heard().contains("QUIT"), "a QUIT in the body");
    }
}

#[tokio::test]
async fn a_mail_whose_gate_is_closed_opens_no_connection() {
    let host = FaultyHost::start(Script::usual()).await;
    let gate = SendPermit { open: Arc::new(|| false), cancel: CancellationToken::new() };
    let outcome = mailer(config()).send(&mail(host.port(), Security::None), &gate).await.outcome;
    assert_eq!(outcome.fate, OutcomeKind::Unstarted);
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn a_stopping_worker_ends_at_the_next_step() {
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let script = Script::usual().at(Moment::Rcpt, [Act::run(move || stop.cancel()), Act::Hang]);
    let gate = SendPermit { open: Arc::new(|| true), cancel };
    let seen = send_with(config(), script, gate, Security::None).await;
    assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "cancelled"));
}

#[tokio::test]
async fn a_private_host_is_refused_without_the_setting() {
    let host = FaultyHost::start(Script::usual()).await;
    let strict = SmtpConfig { allow_private_hosts: false, ..config() };
    let outcome = mailer(strict).send(&mail(host.port(), Security::None), &SendPermit::always()).await.outcome;
    assert_eq!((outcome.fate, outcome.reason), (OutcomeKind::Refused, "private-host"));
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn a_host_that_does_not_listen_is_the_hosts_trouble() {
    // Bound and not listening: nobody else can take the port meanwhile.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = closed.local_addr().unwrap().port();
    let outcome = mailer(config()).send(&mail(port, Security::None), &SendPermit::always()).await.outcome;
    assert_eq!((outcome.fate, outcome.reason), (OutcomeKind::Refused, "host-unreachable"));
    assert_eq!((outcome.effects.sender, outcome.effects.partner), (None, None));
    assert_eq!(outcome.effects.host, Some(Penalty::Strike), "counted, and pauses nobody by itself");
}
