use proptest::prelude::*;

use super::*;
use crate::domain::outcome::{
    Reply,
    judge::{Evidence, judge},
};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn answered(stage: Stage, code: u16, enhanced: [u16; 3]) -> Outcome {
    judge(stage, Evidence::Reply(Reply { code, enhanced: Some(enhanced), text: "no".into() }))
}

#[test]
fn what_shuts_the_door_on_one_mailbox_may_shut_it_on_all() {
    let shut = [
        (answered(Stage::Auth, 535, [5, 7, 8]), Breaker::Auth),
        (answered(Stage::Auth, 535, [5, 7, 139]), Breaker::Auth),
        (answered(Stage::Mail, 530, [5, 7, 0]), Breaker::Auth),
        (judge(Stage::Tls, Evidence::CertificateBad("expired".into())), Breaker::Tls),
        (judge(Stage::Tls, Evidence::StarttlsMissing), Breaker::Tls),
        (judge(Stage::Auth, Evidence::AuthMissing), Breaker::Auth),
    ];
    for (outcome, breaker) in shut {
        assert_eq!((outcome.mark(), outcome.was_let_in()), (Some(Mark::ShutOut(breaker)), false), "{outcome:?}");
    }
}

#[test]
fn what_disables_one_mailbox_says_nothing_about_its_host() {
    for outcome in [answered(Stage::Mail, 550, [5, 1, 8]), answered(Stage::Mail, 553, [5, 7, 1])] {
        assert_eq!(outcome.effects.sender, Some(Measure::Disable));
        assert_eq!((outcome.mark(), outcome.was_let_in()), (None, true), "{outcome:?}");
    }
}

#[test]
fn failures_in_a_row_pause_a_host_longer_and_longer() {
    let mut host = Whole::default();
    for failure in 1..5 {
        assert!(!host.fail(at(failure)), "{failure}");
    }
    assert!(host.fail(at(5)) && !host.fail(at(9)), "the second was on its way when the pause began");
    assert_eq!(host.until, Some(at(10)));
    assert!(host.fail(at(10)));
    assert_eq!(host.until, Some(at(25)));
    for again in [25, 85] {
        assert!(host.fail(at(again)));
        assert_eq!(host.until, Some(at(again + 60)));
    }
    assert!(!host.let_in(at(144)) && host.let_in(at(145)));
    assert!(!host.fail(at(146)), "it begins anew");
}

#[test]
fn a_host_that_takes_mails_in_between_is_not_paused() {
    let mut host = Whole::default();
    for minute in 0..100 {
        assert!(!host.fail(at(minute)));
        if minute % 4 == 3 {
            assert!(!host.let_in(at(minute)), "nothing had paused it");
        }
    }
}

#[test]
fn the_fifth_mailbox_opens_the_breaker_and_the_sixth_is_spared() {
    let mut host = Whole::default();
    for mailbox in 1..=4 {
        assert_eq!(host.shut_out(MailboxId(mailbox), at(0)), ShutOut { disabled: true, opened: false });
    }
    assert_eq!(host.shut_out(MailboxId(5), at(1)), ShutOut { disabled: true, opened: true });
    assert_eq!(host.shut_out(MailboxId(6), at(1)), ShutOut { disabled: false, opened: false });
    assert!(!host.let_in(at(2)), "it was on its way when the breaker opened");
    assert_eq!(host.shut_out(MailboxId(7), at(61)), ShutOut { disabled: false, opened: true });
    assert_eq!(host.until, Some(at(121)));
    assert!(host.let_in(at(121)) && !host.let_in(at(122)));
    assert_eq!(host.shut_out(MailboxId(7), at(123)), ShutOut { disabled: true, opened: false });
}

#[test]
fn one_mailbox_that_is_refused_again_and_again_is_one_mailbox() {
    let mut host = Whole::default();
    for minute in 0..9 {
        assert_eq!(host.shut_out(MailboxId(1), at(minute)), ShutOut { disabled: true, opened: false });
    }
}

#[test]
fn the_third_strike_of_a_day_eases_and_the_sixth_pauses() {
    let mut record = Record::default();
    let mut strike = |hour: i64| record.strike(at(hour * 60));
    assert_eq!([strike(0), strike(1), strike(24)], [Struck::Counted; 3], "the third is another day's first");
    assert_eq!([strike(25), strike(26)], [Struck::Counted, Struck::Ease]);
    assert_eq!([strike(27), strike(28)], [Struck::Counted; 2]);
    assert_eq!(strike(29), Struck::Pause(at(53 * 60)));
    assert_eq!([strike(53), strike(54), strike(55)], [Struck::Counted, Struck::Counted, Struck::Ease]);
}

proptest! {
    /// Whatever is refused when, and whatever is let in between.
    #[test]
    fn never_more_than_five_are_disabled_within_ten_minutes(
        steps in proptest::collection::vec((0i64..40, 0i64..4, 0u8..8), 1..200),
    ) {
        let (mut host, mut minute, mut disabled) = (Whole::default(), 0, Vec::new());
        for (mailbox, later, kind) in steps {
            minute += later;
            match kind {
                0 => drop(host.let_in(at(minute))),
                1 => drop(host.fail(at(minute))),
                _ if host.shut_out(MailboxId(mailbox), at(minute)).disabled => disabled.push((minute, mailbox)),
                _ => {}
            }
            let lately = disabled.iter().filter(|(when, _)| minute - when < 10).map(|(_, mailbox)| mailbox);
            prop_assert!(lately.collect::<std::collections::BTreeSet<_>>().len() <= REFUSALS);
        }
    }
}
