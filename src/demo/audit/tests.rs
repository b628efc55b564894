//! These tests tamper with journals and ledgers: each kind of tampering must fail the check that forbids it.

use chrono::{TimeZone, Utc};

use super::{Check::*, *};

const EXPECT: Expect = Expect { mailboxes: 6, quota: 3, faults: false };

fn address(mailbox: usize) -> String {
    format!("box{mailbox}@example.org")
}

/// Returns the ledger of a clean day: mailbox m writes to the mailboxes m + 1, m + 2 and m + 3.
fn ledger() -> Snapshot {
    let mailboxes = 0..EXPECT.mailboxes;
    let row = |from: usize, k: usize| LogRow {
        id: (10 * from + k) as i64,
        mailbox_id: from as i64,
        sender: address(from),
        recipient: address((from + k) % EXPECT.mailboxes),
        message_id: format!("<{from}-{k}@example.org>"),
        status: Status::Sent,
        answers: None,
    };
    Snapshot {
        mailboxes: mailboxes
            .clone()
            .map(|id| MailboxRow { id: id as i64, email: address(id), receives: true })
            .collect(),
        days: mailboxes
            .clone()
            .map(|id| DayRow {
                mailbox_id: id as i64,
                quota: 3,
                reserved: 3,
                sent: 3,
                failed: 0,
                uncertain: 0,
                replied: 0,
            })
            .collect(),
        logs: mailboxes.flat_map(|from| (1..=3).map(move |k| row(from, k))).collect(),
        in_flight: Vec::new(),
    }
}

fn accepted(row: &LogRow) -> Acceptance {
    let at = Utc.with_ymd_and_hms(2026, 11, 24, 9, 0, 0).unwrap();
    // The journal has the address as it was spelled, and the id without brackets.
    let message_id = row.message_id.trim_matches(['<', '>']).to_owned();
    Acceptance { at, from: row.sender.to_uppercase(), to: row.recipient.clone(), message_id }
}

fn journal(ledger: &Snapshot) -> Vec<Acceptance> {
    ledger.logs.iter().map(accepted).collect()
}

/// Tampers with a clean day and returns the checks that fail.
fn violated(tamper: impl FnOnce(&mut Vec<Acceptance>, &mut Snapshot)) -> Vec<Check> {
    let mut ledger = ledger();
    let mut journal = journal(&ledger);
    tamper(&mut journal, &mut ledger);
    prove(&journal, &ledger, &EXPECT).violated()
}

#[test]
fn a_clean_day_is_proved() {
    let verdict = prove(&journal(&ledger()), &ledger(), &EXPECT);
    assert!(verdict.holds(), "{verdict}");
    let text = verdict.to_string();
    assert!(text.contains("6 of 6 at 3/3") && text.contains("18 of 18") && text.ends_with("the proof holds"), "{text}");
}

#[test]
fn one_mail_more_in_the_journal_is_found() {
    let found = violated(|journal, _| {
        journal.push(Acceptance { message_id: "stray@example.org".to_owned(), ..journal[0].clone() })
    });
    assert_eq!(found, [AcceptedIsAccountedFor, ArrivedIsLogged, NoPairTwice, ReceivedEvenly]);
}

#[test]
fn one_mail_fewer_in_the_journal_is_found() {
    let found = violated(|journal, _| drop(journal.pop()));
    assert_eq!(found, [AcceptedIsAccountedFor, SentArrived, ReceivedEvenly]);
}

#[test]
fn a_mail_that_was_accepted_twice_is_found() {
    let found = violated(|journal, _| journal.push(journal[0].clone()));
    assert_eq!(found, [AcceptedIsAccountedFor, NothingTwice, ReceivedEvenly]);
}

#[test]
fn a_double_that_hides_a_lost_mail_in_the_sum_is_found() {
    let found = violated(|journal, _| journal[1] = journal[0].clone());
    assert_eq!(found, [SentArrived, NothingTwice, ReceivedEvenly]);
}

#[test]
fn a_repeated_pair_is_found_though_all_sums_hold() {
    // Mailbox 0 writes to 1 again instead of to 2, and 4 to 2 instead of to 1: each mailbox still receives three
    // mails.
    let found = violated(|journal, ledger| {
        let swapped = [(0, 2, address(1)), (4, 3, address(2))];
        for (from, k, to) in swapped {
            let row = from * 3 + k - 1;
            journal[row].to = to.clone();
            ledger.logs[row].recipient = to;
        }
    });
    assert_eq!(found, [NoPairTwice]);
}

#[test]
fn a_pair_may_come_again_when_every_partner_was_used() {
    let mut ledger = ledger();
    for from in 0..EXPECT.mailboxes {
        for k in [4, 5, 1] {
            let to = address((from + k) % EXPECT.mailboxes);
            let message_id = format!("<{from}-again-{k}@example.org>");
            let (mailbox_id, sender) = (from as i64, address(from));
            ledger.logs.push(LogRow {
                id: 99,
                mailbox_id,
                sender,
                recipient: to,
                message_id,
                status: Status::Sent,
                answers: None,
            });
        }
        let day = &mut ledger.days[from];
        (day.quota, day.reserved, day.sent) = (6, 6, 6);
    }
    let verdict = prove(&journal(&ledger), &ledger, &Expect { quota: 6, ..EXPECT });
    assert!(verdict.holds(), "{verdict}");
}

#[test]
fn a_wrong_counter_is_found() {
    let found = violated(|_, ledger| (ledger.days[2].failed, ledger.days[3].replied) = (1, 1));
    assert_eq!(found, [CountersAreRows]);
    let found = violated(|_, ledger| (ledger.days[2].sent, ledger.days[2].uncertain) = (2, 1));
    assert_eq!(found, [CountersAreRows]);
}

#[test]
fn a_mailbox_that_is_short_is_named() {
    let mut ledger = ledger();
    ledger.logs.remove(0);
    (ledger.days[0].sent, ledger.days[0].reserved) = (2, 2);
    let verdict = prove(&journal(&ledger), &ledger, &EXPECT);
    assert_eq!(verdict.violated(), [QuotaFilled, TotalSent, ReceivedEvenly]);
    assert!(verdict.to_string().contains("box0@example.org: sent 2 + uncertain 0"), "{verdict}");
}

#[test]
fn a_mailbox_without_a_single_mail_is_found() {
    let found = violated(|_, ledger| ledger.days.retain(|day| day.mailbox_id != 0));
    assert_eq!(found, [QuotaFilled, TotalSent, CountersAreRows]);
}

#[test]
fn an_uncertain_mail_may_have_arrived_or_not() {
    for arrived in [true, false] {
        let mut ledger = ledger();
        ledger.logs[0].status = Status::Uncertain;
        (ledger.days[0].sent, ledger.days[0].uncertain) = (2, 1);
        let mut journal = journal(&ledger);
        if !arrived {
            journal.remove(0);
        }
        let verdict = prove(&journal, &ledger, &Expect { faults: true, ..EXPECT });
        assert!(verdict.holds(), "{verdict}");
    }
}

#[test]
fn a_refused_mail_that_arrived_is_found() {
    let found = violated(|_, ledger| {
        ledger.logs[0].status = Status::Refused;
        (ledger.days[0].sent, ledger.days[0].failed, ledger.days[0].reserved) = (2, 1, 2);
    });
    assert_eq!(found, [QuotaFilled, TotalSent, AcceptedIsAccountedFor, ArrivedIsLogged]);
}

#[test]
fn a_place_that_nobody_has_is_found() {
    assert_eq!(violated(|_, ledger| ledger.days[1].reserved = 4), [NothingInFlight]);
    let flying = |_: &mut Vec<Acceptance>, ledger: &mut Snapshot| {
        ledger.days[1].reserved = 4;
        ledger.in_flight.push(1);
    };
    assert_eq!(violated(flying), [NothingInFlight]);
}

/// Returns a ledger in which mailbox 1 answers the first mail of mailbox 0.
fn with_a_reply() -> Snapshot {
    let mut ledger = ledger();
    let mail = ledger.logs[0].clone();
    ledger.logs.push(LogRow {
        id: 99,
        mailbox_id: 1,
        sender: mail.recipient,
        recipient: mail.sender,
        message_id: "<reply@example.org>".to_owned(),
        status: Status::Replied,
        answers: Some(mail.id),
    });
    ledger.days[1].replied = 1;
    ledger
}

#[test]
fn a_reply_is_no_pair_and_counts_for_nobody_s_quota() {
    let ledger = with_a_reply();
    let verdict = prove(&journal(&ledger), &ledger, &EXPECT);
    assert!(verdict.holds(), "{verdict}");
}

#[test]
fn an_uncertain_reply_counts_as_failed() {
    let mut ledger = with_a_reply();
    ledger.logs.last_mut().unwrap().status = Status::Uncertain;
    (ledger.days[1].replied, ledger.days[1].failed) = (0, 1);
    let verdict = prove(&journal(&ledger), &ledger, &Expect { faults: true, ..EXPECT });
    assert!(verdict.holds(), "{verdict}");
}

#[test]
fn a_reply_to_somebody_else_or_a_second_one_is_found() {
    let broken = |tamper: fn(&mut Snapshot)| {
        let mut ledger = with_a_reply();
        tamper(&mut ledger);
        prove(&journal(&ledger), &ledger, &EXPECT).violated()
    };
    assert_eq!(broken(|ledger| ledger.logs.last_mut().unwrap().recipient = address(4)), [OneAnswerAThread]);
    assert_eq!(broken(|ledger| ledger.logs.last_mut().unwrap().answers = Some(77)), [OneAnswerAThread]);
    let twice = |ledger: &mut Snapshot| {
        let again = LogRow { message_id: "<again@example.org>".to_owned(), ..ledger.logs.last().unwrap().clone() };
        ledger.logs.push(again);
        ledger.days[1].replied = 2;
    };
    assert_eq!(broken(twice), [OneAnswerAThread]);
}

#[test]
fn a_mail_with_another_recipient_than_its_row_is_found() {
    let found = violated(|journal, _| journal[0].to = address(4));
    assert_eq!(found, [ArrivedIsLogged, ReceivedEvenly]);
}

#[test]
fn a_stranger_among_the_mailboxes_is_found() {
    let found = violated(|_, ledger| {
        ledger.mailboxes.push(MailboxRow { id: 99, email: "new@example.org".to_owned(), receives: true })
    });
    assert_eq!(found, [QuotaFilled, ReceivedEvenly]);
}
