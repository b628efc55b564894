use proptest::prelude::*;

use super::*;
use crate::domain::outcome::{
    Effects, Reply,
    judge::{Evidence, judge},
};

fn minutes(count: u16, target: RefusalTarget) -> i64 {
    pause_after(count, target).map_or(0, |pause| pause.num_minutes())
}

fn reply(stage: Stage, code: u16, enhanced: Option<[u16; 3]>, text: &str) -> Outcome {
    judge(stage, Evidence::Reply(Reply { code, enhanced, text: text.to_owned() }))
}

#[test]
fn pauses_grow_from_the_second_refusal_of_the_sender_and_the_fifth_of_a_partner() {
    let all = |target| (0..8).map(|count| minutes(count, target)).collect::<Vec<_>>();
    assert_eq!(all(RefusalTarget::Sender), [0, 0, 15, 60, 240, 1440, 1440, 1440]);
    assert_eq!(all(RefusalTarget::Pair), [0, 0, 0, 0, 0, 240, 1440, 1440]);
}

#[test]
fn what_a_host_answers_to_a_named_sender_counts_for_the_side_that_it_names() {
    let counted = [
        (reply(Stage::Dot, 554, None, "no"), RefusalTarget::Sender),
        (reply(Stage::Mail, 451, None, "later"), RefusalTarget::Sender),
        (reply(Stage::Rcpt, 421, None, "closing"), RefusalTarget::Sender),
        (reply(Stage::Auth, 454, Some([4, 7, 0]), "later"), RefusalTarget::Sender),
        (reply(Stage::Dot, 550, Some([5, 7, 1]), "spam"), RefusalTarget::Sender),
        (judge(Stage::Mail, Evidence::Garbled("hello".into())), RefusalTarget::Sender),
        (reply(Stage::Rcpt, 550, Some([5, 1, 1]), "unknown"), RefusalTarget::Pair),
        (reply(Stage::Rcpt, 450, Some([4, 2, 1]), "busy"), RefusalTarget::Pair),
        (reply(Stage::Rcpt, 451, None, "greylisted"), RefusalTarget::Pair),
    ];
    for (outcome, target) in counted {
        assert_eq!(outcome.refusal_target(), Some(target), "{outcome:?}");
    }
}

#[test]
fn no_answer_our_own_failures_and_answers_before_auth_do_not_count() {
    let uncounted = [
        reply(Stage::Greeting, 554, None, "go away"),
        reply(Stage::Dot, 250, None, "ok"),
        judge(Stage::Rcpt, Evidence::Timeout),
        judge(Stage::Rcpt, Evidence::Lost("reset".into())),
        judge(Stage::Dot, Evidence::Timeout),
        judge(Stage::Data, Evidence::Cancelled),
        judge(Stage::Data, Evidence::LeaseLost),
        judge(Stage::Connect, Evidence::NotStarted),
        judge(Stage::Connect, Evidence::SealBroken),
        judge(Stage::Connect, Evidence::PartnerAddress("none".into())),
    ];
    for outcome in uncounted {
        assert_eq!(outcome.refusal_target(), None, "{outcome:?}");
    }
}

#[test]
fn a_verdict_that_rests_the_sender_for_hours_is_enough() {
    for outcome in [
        reply(Stage::Auth, 535, Some([5, 7, 8]), "bad credentials"),
        reply(Stage::Dot, 550, Some([5, 4, 5]), "daily limit"),
        reply(Stage::Dot, 550, Some([5, 7, 26]), "unauthenticated"),
        reply(Stage::Dot, 550, None, "daily sending quota exceeded"),
    ] {
        assert_eq!(outcome.refusal_target(), None, "{outcome:?}");
    }
    let rate = reply(Stage::Dot, 451, None, "rate limit exceeded");
    assert_eq!(rate.refusal_target(), Some(RefusalTarget::Sender), "twenty minutes are not");
}

fn any_target() -> impl Strategy<Value = RefusalTarget> {
    prop_oneof![Just(RefusalTarget::Sender), Just(RefusalTarget::Pair)]
}

proptest! {
    #[test]
    fn no_refused_sender_makes_more_than_six_attempts_within_a_day(
        first in 0u16..20,
        targets in proptest::collection::vec(any_target(), 1..40),
    ) {
        let (mut at, mut attempts) = (0, Vec::new());
        for (count, target) in (first + 1..).zip(targets) {
            attempts.push(at);
            at += minutes(count, target);
        }
        for window in attempts.windows(7) {
            prop_assert!(window[6] - window[0] >= 24 * 60, "{window:?}");
        }
    }

    #[test]
    fn a_later_refusal_never_rests_for_less(count in 1u16..2_000, target in any_target()) {
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
        prop_assert!(outcome.refusal_target().is_some() || rests, "{:?}", outcome);
    }
}
