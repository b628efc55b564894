use proptest::prelude::*;

use super::*;
use crate::domain::outcome::{
    Reply,
    classify::{DialogueEnd, classify_outcome},
};

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

/// Returns this many mailboxes of one user.
fn of_one_user(mailboxes: i64) -> BTreeMap<MailboxId, UserId> {
    (1..=mailboxes).map(|id| (MailboxId(id), UserId(1))).collect()
}

fn answered(stage: Stage, code: u16, enhanced: [u16; 3]) -> Outcome {
    classify_outcome(stage, DialogueEnd::Reply(Reply { code, enhanced: Some(enhanced), text: "no".into() }))
}

#[test]
fn what_shuts_the_door_on_one_mailbox_may_shut_it_on_all() {
    let shut = [
        (answered(Stage::Auth, 535, [5, 7, 8]), Breaker::Auth),
        (answered(Stage::Auth, 535, [5, 7, 139]), Breaker::Auth),
        (answered(Stage::Mail, 530, [5, 7, 0]), Breaker::Auth),
        (classify_outcome(Stage::Tls, DialogueEnd::CertificateBad("expired".into())), Breaker::Tls),
        (classify_outcome(Stage::Tls, DialogueEnd::StarttlsMissing), Breaker::Tls),
        (classify_outcome(Stage::Auth, DialogueEnd::AuthMissing), Breaker::Auth),
    ];
    for (outcome, breaker) in shut {
        assert_eq!(
            (outcome.mark(), outcome.passed_auth()),
            (Some(EscalationSignal::AccessDenied(breaker)), false),
            "{outcome:?}"
        );
    }
}

#[test]
fn what_disables_one_mailbox_says_nothing_about_its_host() {
    for outcome in [answered(Stage::Mail, 550, [5, 1, 8]), answered(Stage::Mail, 553, [5, 7, 1])] {
        assert_eq!(outcome.effects.sender, Some(Penalty::Disable));
        assert_eq!((outcome.mark(), outcome.passed_auth()), (None, true), "{outcome:?}");
    }
}

fn tried(mailboxes: i64) -> BTreeSet<MailboxId> {
    (1..=mailboxes).map(MailboxId).collect()
}

#[test]
fn failures_in_a_row_pause_a_host_longer_and_longer() {
    let mut host = HostState::default();
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
    assert!(!host.record_recovery(at(144)).is_recovered && host.record_recovery(at(145)).is_recovered);
    assert!(!host.fail(at(146)), "it begins anew");
}

#[test]
fn failures_before_auth_pause_a_host_for_everybody_only_if_two_owners_meet_them_at_one_endpoint() {
    let mut host = HostState::default();
    for minute in 0..20 {
        assert!(!host.fail_for_all("2525/starttls", UserId(1), at(minute)), "one owner, however often");
        assert!(!host.fail_for_all("587/starttls", UserId(2), at(minute)), "the other one elsewhere");
    }
    assert!(host.fail_for_all("2525/starttls", UserId(2), at(20)) && host.until == Some(at(25)));
    assert!(!host.fail_for_all("2525/starttls", UserId(2), at(24)), "it was on its way when the pause began");
    for minute in 25..40 {
        assert!(!host.fail_for_all("2525/starttls", UserId(1), at(minute)), "one owner does not lengthen it");
    }
    assert!(host.fail_for_all("2525/starttls", UserId(2), at(40)) && host.until == Some(at(55)));
}

#[test]
fn a_mail_that_is_let_in_ends_the_count_of_failures_before_auth_of_all_owners() {
    let mut host = HostState::default();
    for minute in 0..4 {
        assert!(!host.fail_for_all("587/starttls", UserId(1), at(minute)));
    }
    assert!(!host.record_recovery(at(4)).is_recovered, "nothing had paused it");
    assert!(!host.fail_for_all("587/starttls", UserId(2), at(5)));
    assert!(host.failing.values().all(|owners| owners.len() == 1));
}

#[test]
fn a_host_that_takes_mails_in_between_is_not_paused() {
    let mut host = HostState::default();
    for minute in 0..100 {
        assert!(!host.fail(at(minute)));
        if minute % 4 == 3 {
            assert!(!host.record_recovery(at(minute)).is_recovered, "nothing had paused it");
        }
    }
}

#[test]
fn half_of_those_that_tried_open_the_breaker_however_long_it_takes() {
    let (mut host, eight) = (HostState::default(), tried(8));
    for mailbox in 1..=3 {
        let refused = host.record_access_denied(MailboxId(mailbox), at(mailbox * 1_000), &eight);
        assert_eq!(refused, AccessDenial { disabled: true, opened: false });
    }
    assert_eq!(
        host.record_access_denied(MailboxId(4), at(4_000), &eight),
        AccessDenial { disabled: false, opened: true }
    );
    assert_eq!(
        host.record_access_denied(MailboxId(5), at(4_001), &eight),
        AccessDenial { disabled: false, opened: false }
    );
    assert!(!host.record_recovery(at(4_002)).is_recovered, "it was on its way when the breaker opened");
    assert_eq!(
        host.record_access_denied(MailboxId(7), at(4_061), &eight),
        AccessDenial { disabled: false, opened: true }
    );
    assert_eq!(host.until, Some(at(4_061 + 4 * 60)), "the first was an hour");
    for again in [4_301, 4_301 + 24 * 60] {
        assert!(host.record_access_denied(MailboxId(8), at(again), &eight).opened);
        assert_eq!(host.until, Some(at(again + 24 * 60)));
    }
    let recovery = host.record_recovery(at(7_181));
    assert_eq!((recovery.is_recovered, recovery.restored), (true, tried(4).into_iter().collect()));
    assert_eq!(host.record_recovery(at(7_182)), Recovery::default());
    assert_eq!(
        host.record_access_denied(MailboxId(7), at(7_183), &eight),
        AccessDenial { disabled: true, opened: false }
    );
    for mailbox in 1..=3 {
        host.record_access_denied(MailboxId(mailbox), at(7_184), &eight);
    }
    assert_eq!(host.until, Some(at(7_184 + 60)), "a success ends the growth");
}

#[test]
fn one_owner_gives_at_most_half_of_the_refusals_that_open_the_breaker_of_a_host() {
    let (mut host, tried) = (HostState::default(), tried(70));
    let mut owners = of_one_user(69);
    owners.extend([(MailboxId(70), UserId(2)), (MailboxId(71), UserId(2)), (MailboxId(72), UserId(3))]);
    for mailbox in 1..70 {
        let refused = host.shut_out_of_all(MailboxId(mailbox), at(mailbox), &tried, &owners);
        assert_eq!(refused, AccessDenial { disabled: true, opened: false }, "{mailbox}");
    }
    assert_eq!(host.refused.len(), REFUSALS_STORED, "however many one owner has");
    for mailbox in [70, 71, 70] {
        let refused = host.shut_out_of_all(MailboxId(mailbox), at(mailbox), &tried, &owners);
        assert_eq!(
            refused,
            AccessDenial { disabled: true, opened: false },
            "{mailbox} of the second owner is not enough"
        );
    }
    let refused = host.shut_out_of_all(MailboxId(72), at(72), &tried, &owners);
    assert_eq!(refused, AccessDenial { disabled: false, opened: true });
}

#[test]
fn the_last_of_three_is_left_to_try_and_two_have_no_breaker() {
    let mut host = HostState::default();
    let (three, two) = (tried(3), tried(2));
    let disabled = |mailbox| host.record_access_denied(MailboxId(mailbox), at(mailbox), &three).disabled;
    assert_eq!([1, 2, 3].map(disabled), [true, true, false]);
    let mut small = HostState::default();
    assert_eq!(
        [1, 2].map(|mailbox| small.record_access_denied(MailboxId(mailbox), at(mailbox), &two).disabled),
        [true, true]
    );
    assert!(!small.probing);
}

#[test]
fn whoever_is_refused_while_neighbours_are_let_in_is_its_own_matter() {
    let mut host = HostState::default();
    for mailbox in 1..=8 {
        assert_eq!(
            host.record_access_denied(MailboxId(mailbox), at(mailbox), &tried(9)),
            AccessDenial { disabled: true, opened: false }
        );
        assert_eq!(host.record_recovery(at(mailbox)), Recovery::default(), "nobody comes back");
    }
}

#[test]
fn one_mailbox_that_is_refused_again_and_again_is_one_mailbox() {
    let mut host = HostState::default();
    for minute in 0..9 {
        assert_eq!(
            host.record_access_denied(MailboxId(1), at(minute), &tried(1)),
            AccessDenial { disabled: true, opened: false }
        );
    }
}

#[test]
fn three_mailboxes_without_an_answer_pause_their_host_and_one_does_not() {
    let mut host = HostState::default();
    for minute in 0..9 {
        assert!(!host.stall(MailboxId(1), Stage::Rcpt, at(minute), &of_one_user(9)), "one rests nobody");
    }
    assert!(!host.stall(MailboxId(2), Stage::Rcpt, at(10), &of_one_user(9)));
    host.answered(Stage::Mail, at(11));
    assert!(host.stall(MailboxId(3), Stage::Rcpt, at(12), &of_one_user(9)), "MAIL was answered, RCPT was not");
    assert_eq!(host.until, Some(at(17)));
    assert!(!host.stall(MailboxId(4), Stage::Rcpt, at(13), &of_one_user(9)), "it was on its way when the pause began");
    assert!(host.stall(MailboxId(1), Stage::Rcpt, at(17), &of_one_user(9)));
    assert_eq!(host.until, Some(at(32)), "longer each time");
    host.answered(Stage::Rcpt, at(32));
    assert!(host.record_recovery(at(32)).is_recovered);
    assert!(!host.stall(MailboxId(1), Stage::Rcpt, at(33), &of_one_user(9)), "it begins anew");
}

#[test]
fn the_stalls_of_one_user_pause_no_host_that_others_share() {
    let mut owners = of_one_user(9);
    owners.insert(MailboxId(10), UserId(2));
    let mut host = HostState::default();
    for id in 1..9 {
        assert!(!host.stall(MailboxId(id), Stage::Rcpt, at(id), &owners), "whose fault that is, nobody knows");
    }
    host.answered(Stage::Rcpt, at(20));
    let met = [1, 10, 2].map(|id| host.stall(MailboxId(id), Stage::Rcpt, at(20 + id), &owners));
    assert_eq!(met, [false, false, true], "two users met it");
}

#[test]
fn the_stalls_of_one_user_leave_those_of_another_in_the_count() {
    let mut owners = of_one_user(9);
    owners.insert(MailboxId(10), UserId(2));
    let mut host = HostState::default();
    let met = [1, 2, 3, 4, 10].map(|id| host.stall(MailboxId(id), Stage::Rcpt, at(id), &owners));
    assert_eq!(met, [false, false, false, false, true], "the fifth is another user's");
}

#[test]
fn at_a_host_with_two_mailboxes_each_stall_is_a_failure_once_both_met_one() {
    let mut host = HostState::default();
    assert!(!host.stall(MailboxId(1), Stage::Dot, at(0), &of_one_user(2)));
    assert_eq!(host.failures, 0);
    for minute in 1..5 {
        assert!(!host.stall(MailboxId(2), Stage::Dot, at(minute), &of_one_user(2)));
    }
    assert!(host.stall(MailboxId(1), Stage::Dot, at(5), &of_one_user(2)), "the fifth failure in a row");
}

#[test]
fn the_third_strike_of_a_day_eases_and_the_sixth_pauses() {
    let mut record = SenderStrikes::default();
    let mut strike = |hour: i64| record.strike(at(hour * 60));
    assert_eq!([strike(0), strike(1), strike(24)], [StrikeResult::Counted; 3], "the third is another day's first");
    assert_eq!([strike(25), strike(26)], [StrikeResult::Counted, StrikeResult::Ease]);
    assert_eq!([strike(27), strike(28)], [StrikeResult::Counted; 2]);
    assert_eq!(strike(29), StrikeResult::Pause(at(53 * 60)));
    assert_eq!(
        [strike(53), strike(54), strike(55)],
        [StrikeResult::Counted, StrikeResult::Counted, StrikeResult::Ease]
    );
}

proptest! {
    /// Checks an arbitrary history of refused and accepted logins.
    #[test]
    fn fewer_are_disabled_in_a_row_than_open_the_breaker(
        steps in proptest::collection::vec((0i64..40, 0i64..4, 0u8..8), 1..200),
    ) {
        let (mut host, mut minute, mut disabled) = (HostState::default(), 0, BTreeSet::new());
        for (mailbox, later, kind) in steps {
            minute += later;
            match kind {
                0 if !host.holds(at(minute)) => {
                    host.record_recovery(at(minute));
                    disabled.clear();
                }
                1 => drop(host.fail(at(minute))),
                _ if host.record_access_denied(MailboxId(mailbox), at(minute), &tried(40)).disabled => {
                    disabled.insert(mailbox);
                }
                _ => {}
            }
            prop_assert!(disabled.len() < refusals_to_open(40));
        }
    }
}
