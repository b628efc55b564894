use proptest::prelude::*;

use super::*;
use crate::domain::outcome::{
    Effects, Reply,
    classify::{DialogueEnd, classify_outcome},
};

/// Returns the pause after `count` failures in a row that are all about `target`.
fn minutes(count: u16, target: RefusalTarget) -> i64 {
    let mut counts = FailureCounts::default();
    (0..count).for_each(|_| counts.add(target));
    rest(counts, target).0
}

fn rest(counts: FailureCounts, target: RefusalTarget) -> (i64, Option<&'static str>) {
    counts.pause(target).map_or((0, None), |(pause, reason)| (pause.num_minutes(), Some(reason)))
}

fn reply(stage: Stage, code: u16, enhanced: Option<[u16; 3]>, text: &str) -> Outcome {
    classify_outcome(stage, DialogueEnd::Reply(Reply { code, enhanced, text: text.to_owned() }))
}

#[test]
fn pauses_grow_from_the_second_refusal_of_the_sender_and_the_fifth_of_a_partner() {
    let all = |target| (0..8).map(|count| minutes(count, target)).collect::<Vec<_>>();
    assert_eq!(all(RefusalTarget::Sender), [0, 0, 15, 60, 240, 1440, 1440, 1440]);
    assert_eq!(all(RefusalTarget::Pair), [0, 0, 0, 0, 0, 240, 1440, 1440]);
}

#[test]
fn pauses_grow_from_the_third_failure_of_the_host_and_six_failures_of_any_kind_rest_for_a_day() {
    let all = |target| (0..8).map(|count| minutes(count, target)).collect::<Vec<_>>();
    assert_eq!(all(RefusalTarget::Host), [0, 0, 0, 15, 60, 240, 1440, 1440]);
    assert_eq!(all(RefusalTarget::Other), [0, 0, 0, 0, 0, 0, 1440, 1440]);
}

#[test]
fn a_pause_names_refusals_only_if_they_lead_to_it() {
    let counts = FailureCounts { refusals: 3, failures: 3 };
    assert_eq!(rest(counts, RefusalTarget::Sender), (60, Some(REFUSED_IN_A_ROW)));
    let counts = FailureCounts { refusals: 3, failures: 6 };
    assert_eq!(rest(counts, RefusalTarget::Sender), (24 * 60, Some(FAILED_IN_A_ROW)));
    let counts = FailureCounts { refusals: 2, failures: 4 };
    assert_eq!(rest(counts, RefusalTarget::Sender), (15, Some(REFUSED_IN_A_ROW)));
    assert_eq!(rest(counts, RefusalTarget::Host), (60, Some(FAILED_IN_A_ROW)));
}

#[test]
fn a_host_that_is_down_for_everybody_adds_nothing_to_a_count() {
    let mut counts = FailureCounts::default();
    (0..9).for_each(|_| counts.excuse());
    assert_eq!(counts, FailureCounts { refusals: 0, failures: 1 });
}

#[test]
fn what_a_host_answers_to_a_named_sender_counts_for_the_side_that_it_names() {
    let counted = [
        (reply(Stage::Dot, 554, None, "no"), RefusalTarget::Sender),
        (reply(Stage::Mail, 451, None, "later"), RefusalTarget::Sender),
        (reply(Stage::Rcpt, 421, None, "closing"), RefusalTarget::Sender),
        (reply(Stage::Auth, 454, Some([4, 7, 0]), "later"), RefusalTarget::Sender),
        (reply(Stage::Dot, 550, Some([5, 7, 1]), "spam"), RefusalTarget::Sender),
        (classify_outcome(Stage::Mail, DialogueEnd::Garbled("hello".into())), RefusalTarget::Sender),
        (reply(Stage::Rcpt, 550, Some([5, 1, 1]), "unknown"), RefusalTarget::Pair),
        (reply(Stage::Rcpt, 450, Some([4, 2, 1]), "busy"), RefusalTarget::Pair),
        (reply(Stage::Rcpt, 451, None, "greylisted"), RefusalTarget::Pair),
    ];
    for (outcome, target) in counted {
        assert_eq!(outcome.refusal_target(), Some(target), "{outcome:?}");
    }
}

#[test]
fn no_answer_and_answers_before_auth_count_for_the_host() {
    let lost = || DialogueEnd::Lost("reset".into());
    let counted = [
        reply(Stage::Greeting, 554, None, "go away"),
        reply(Stage::Greeting, 421, None, "busy"),
        classify_outcome(Stage::Connect, DialogueEnd::Timeout),
        classify_outcome(Stage::Connect, lost()),
        classify_outcome(Stage::Tls, DialogueEnd::TlsFailed("alert".into())),
        classify_outcome(Stage::Greeting, DialogueEnd::GreetingMissing),
        classify_outcome(Stage::Greeting, DialogueEnd::Garbled("hello".into())),
        classify_outcome(Stage::Auth, lost()),
        classify_outcome(Stage::Rcpt, DialogueEnd::Timeout),
        classify_outcome(Stage::Dot, DialogueEnd::Timeout),
        classify_outcome(Stage::Dot, lost()),
    ];
    for outcome in counted {
        assert_eq!(outcome.refusal_target(), Some(RefusalTarget::Host), "{outcome:?}");
    }
}

#[test]
fn what_the_worker_stopped_itself_does_not_count_and_its_other_failures_do() {
    let uncounted = [
        reply(Stage::Dot, 250, None, "ok"),
        classify_outcome(Stage::Data, DialogueEnd::Cancelled),
        classify_outcome(Stage::Data, DialogueEnd::LeaseLost),
        classify_outcome(Stage::Connect, DialogueEnd::NotStarted),
    ];
    for outcome in uncounted {
        assert_eq!(outcome.refusal_target(), None, "{outcome:?}");
    }
    let counted = [
        classify_outcome(Stage::Connect, DialogueEnd::SealBroken),
        classify_outcome(Stage::Connect, DialogueEnd::PlaintextRefused),
        classify_outcome(Stage::Connect, DialogueEnd::PartnerAddress("none".into())),
        classify_outcome(Stage::Dot, DialogueEnd::Garbled("hello".into())),
    ];
    for outcome in counted {
        assert_eq!(outcome.refusal_target(), Some(RefusalTarget::Other), "{outcome:?}");
    }
}

#[test]
fn a_verdict_that_rests_the_sender_for_hours_is_no_refusal_in_a_row() {
    for outcome in [
        reply(Stage::Auth, 535, Some([5, 7, 8]), "bad credentials"),
        reply(Stage::Dot, 550, Some([5, 4, 5]), "daily limit"),
        reply(Stage::Dot, 550, Some([5, 7, 26]), "unauthenticated"),
        reply(Stage::Dot, 550, None, "daily sending quota exceeded"),
    ] {
        assert_eq!(outcome.refusal_target(), Some(RefusalTarget::Other), "{outcome:?}");
    }
    let rate = reply(Stage::Dot, 451, None, "rate limit exceeded");
    assert_eq!(rate.refusal_target(), Some(RefusalTarget::Sender), "twenty minutes are not");
}

fn any_target() -> impl Strategy<Value = RefusalTarget> {
    use RefusalTarget::{Host, Other, Pair, Sender};
    prop_oneof![Just(Sender), Just(Pair), Just(Host), Just(Other)]
}

proptest! {
    #[test]
    fn no_failing_sender_makes_more_than_six_attempts_within_a_day(
        targets in proptest::collection::vec(any_target(), 1..40),
    ) {
        let (mut at, mut attempts, mut counts) = (0, Vec::new(), FailureCounts::default());
        for target in targets {
            attempts.push(at);
            counts.add(target);
            at += rest(counts, target).0;
        }
        for window in attempts.windows(7) {
            prop_assert!(window[6] - window[0] >= 24 * 60, "{window:?}");
        }
    }

    #[test]
    fn a_later_failure_never_rests_for_less(count in 1u16..2_000, target in any_target()) {
        prop_assert!(minutes(count + 1, target) >= minutes(count, target));
    }

    #[test]
    fn a_refusal_after_the_greeting_counts_or_rests_its_sender_for_hours(
        stage in 3usize..8,
        code in 400u16..600,
        enhanced in proptest::option::of((0u16..8, 0u16..60)),
    ) {
        let enhanced = enhanced.map(|(subject, detail)| [code / 100, subject, detail]);
        let outcome = reply(Stage::ALL[stage], code, enhanced, "no");
        let Effects { sender, domain, .. } = outcome.effects;
        let rests = sender.or(domain).is_some_and(|measure| measure.pause().is_none_or(|time| time >= LONG_REST));
        let is_refusal = outcome.refusal_target().is_some_and(RefusalTarget::is_refusal);
        prop_assert!(is_refusal || rests, "{:?}", outcome);
    }
}
