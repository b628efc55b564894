//! What nobody can know: after the dot everything but a complete reply.

use tokio_util::sync::CancellationToken;
use warmup::{
    domain::{
        mailbox::Security,
        outcome::{Effects, OutcomeKind, Penalty, Stage},
    },
    ports::SendPermit,
};
use warmup_support::smtp::{Act, Moment, Script};

use crate::world::{Seen, config, send_impatiently_to, send_to, send_with};

fn at_dot(acts: impl IntoIterator<Item = Act>) -> Script {
    Script::usual().at(Moment::Dot, acts)
}

fn assert_uncertain(seen: &Seen) {
    let outcome = &seen.outcome;
    assert_eq!((outcome.fate, outcome.stage, outcome.reason), (OutcomeKind::Uncertain, Stage::Dot, "uncertain"));
    assert_eq!(Effects { host: None, ..outcome.effects }, Effects::default());
    assert!(matches!(outcome.effects.host, None | Some(Penalty::Stall)), "at most counted");
}

#[tokio::test]
async fn a_connection_closed_after_the_dot_is_uncertain() {
    assert_uncertain(&send_to(at_dot([Act::Close])).await);
}

#[tokio::test]
async fn a_connection_reset_after_the_dot_is_uncertain() {
    assert_uncertain(&send_to(at_dot([Act::Reset])).await);
}

#[tokio::test]
async fn half_a_multi_line_reply_is_uncertain() {
    for half in ["250-2.0.0 Ok\r\n", "554-5.0.0 no\r\n", "250 2.0.0 Ok", "250-Ok\r\n250 bu"] {
        for end in [Act::Close, Act::Reset] {
            assert_uncertain(&send_to(at_dot([Act::say(half), end])).await);
        }
    }
}

#[tokio::test]
async fn half_a_reply_and_then_silence_is_uncertain() {
    for half in ["554-5.0.0 no\r\n", "554 5.0.0 no", "250-2.0.0 Ok\r\n"] {
        assert_uncertain(&send_impatiently_to(at_dot([Act::say(half), Act::Hang])).await);
    }
}

#[tokio::test]
async fn a_354_to_the_dot_is_uncertain() {
    assert_uncertain(&send_to(at_dot([Act::say("354 Go on\r\n")])).await);
}

#[tokio::test]
async fn a_goodbye_instead_of_an_answer_to_the_dot_is_uncertain() {
    let bye = [Act::say("221 2.0.0 Bye\r\n"), Act::Close];
    let seen = send_to(Script::usual().pipelining().at(Moment::Dot, []).at(Moment::Quit, bye.clone())).await;
    assert!(seen.host.heard().ends_with("\r\n.\r\nQUIT\r\n"));
    assert_uncertain(&seen);
    assert_uncertain(&send_to(at_dot(bye)).await);
}

#[tokio::test]
async fn a_host_that_takes_one_command_at_a_time_hears_no_quit_before_it_has_answered() {
    let seen = send_impatiently_to(at_dot([Act::Hang])).await;
    assert_uncertain(&seen);
    assert!(seen.host.heard().ends_with("\r\n.\r\n"), "{}", seen.host.heard());
}

#[tokio::test]
async fn what_is_no_reply_is_uncertain() {
    for garbage in ["Hello\r\n", "150 wait\r\n", "250-Ok\r\n251 other\r\n", "\r\n"] {
        assert_uncertain(&send_to(at_dot([Act::say(garbage)])).await);
    }
}

#[tokio::test]
async fn silence_after_the_dot_is_uncertain() {
    assert_uncertain(&send_impatiently_to(at_dot([Act::Hang])).await);
}

#[tokio::test]
async fn a_worker_that_stops_waiting_for_the_last_reply_leaves_it_uncertain() {
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let script = at_dot([Act::run(move || stop.cancel()), Act::Hang]);
    let gate = SendPermit { open: std::sync::Arc::new(|| true), cancel };
    assert_uncertain(&send_with(config(), script, gate, Security::None).await);
}
