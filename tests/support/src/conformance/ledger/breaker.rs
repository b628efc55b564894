//! These cases check the login breakers: one per owner and login endpoint, and one for a host that refuses
//! mailboxes of several owners. The wrong passwords of one owner pause no other owner's mailboxes, and
//! neither do the failures before AUTH.

use std::time::Duration;

use warmup::{
    domain::outcome::{Effects, OutcomeKind, Penalty},
    ports::{Flight, Refusal, Settlement},
};

use super::{
    DAY, LedgerWorld, Life, ask, end, minutes, noon,
    standing::{MAILBOXES, at, candidates, failed, not_let_in, stopped, told},
};

/// Enrols mailboxes 1 to 6 of user 1, 7 to 12 of user 2, and the last one of user 3, all at one host.
async fn two_owners(world: &dyn LedgerWorld) -> Life<'_> {
    for id in 1..=MAILBOXES {
        world.enrol(id, 1 + (id - 1) / 6, 5, &format!("d{}.test", id % 3), 127).await;
    }
    Life::begin(world).await
}

async fn fly(life: &Life<'_>, mailboxes: impl IntoIterator<Item = i64>) -> Vec<Flight> {
    let mut flights = Vec::new();
    for mailbox in mailboxes {
        flights.push(life.fly(ask(mailbox, 0, &[MAILBOXES])).await);
    }
    flights
}

/// Reserves one more mail of `mailbox`, `minute` minutes after noon.
async fn fly_again(life: &Life<'_>, mailbox: i64, minute: i64) -> Flight {
    let attempts = life.world.day(mailbox, DAY).await.attempts as u16;
    life.fly_at(noon() + minutes(minute), ask(mailbox, attempts, &[11, 12, MAILBOXES])).await
}

pub async fn the_refusals_of_one_owner_pause_that_owners_mailboxes_only(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    let flights = fly(&life, 1..=7).await;
    life.settle(&flights[..6].iter().map(not_let_in).collect::<Vec<_>>()).await;
    assert_eq!(stopped(world).await, [1, 2], "the third opens the owner's breaker");
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"]);
    assert_eq!(candidates(world, 1).await, [7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(life.refusal(ask(3, 1, &[12])).await, Refusal::SenderPaused, "the host is not paused");
    life.fly(ask(8, 0, &[12])).await;

    life.settle(&[at(61, end(&flights[6], OutcomeKind::Sent))]).await;
    assert_eq!(stopped(world).await, [1, 2], "another owner's mailbox was let in");
    assert_eq!(told(world, "host-recovered").await, [""; 0]);
    let mine = candidates(world, 62).await.into_iter().filter(|id| *id <= 6).count();
    assert_eq!(mine, 1, "one of the owner's mailboxes tries");
}

pub async fn the_refusals_of_two_owners_open_the_breaker_of_their_host(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    let flights = fly(&life, 1..=12).await;
    life.settle(&flights.iter().map(not_let_in).collect::<Vec<_>>()).await;
    assert_eq!(stopped(world).await, [1, 2, 7, 8], "the third refusal of the second owner opens it");
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"; 3], "two owners and the host");
    assert_eq!(candidates(world, 59).await, [0; 0], "also those that have not tried");
    assert_eq!(candidates(world, 60).await.len(), 1);

    let flight = fly_again(&life, 9, 60).await;
    life.settle(&[at(61, end(&flight, OutcomeKind::Sent))]).await;
    assert_eq!(told(world, "host-recovered").await, ["let-in"; 2], "the host, and the second owner's login");
    assert_eq!(stopped(world).await, [0; 0], "the host's breaker had disabled them");
    let able = candidates(world, 62).await;
    assert_eq!(able.iter().filter(|id| **id > 6).count(), 7);
    assert_eq!(able.len(), 8, "one of the first owner's mailboxes tries");
}

pub async fn the_breaker_of_a_host_counts_from_the_last_mail_that_was_let_in(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    let flights = fly(&life, 1..=12).await;
    let refused = |minute: i64, mailbox: usize| at(minute, not_let_in(&flights[mailbox - 1]));
    let mut results: Vec<Settlement> = (1..=6).map(|mailbox| refused(mailbox as i64, mailbox)).collect();
    results.push(at(7, end(&flights[11], OutcomeKind::Sent)));
    results.push(refused(8, 8));
    life.settle(&results).await;
    life.settle(&[refused(9, 9)]).await;
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"], "the first owner's");
    assert_eq!(stopped(world).await, [1, 2, 8, 9], "8 and 9 are two");
    assert_eq!(candidates(world, 10).await, [7, 10, 11, 12, 13]);
}

pub async fn two_refusals_of_each_of_two_owners_open_the_breaker_of_their_host(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    let flights = fly(&life, [1, 2, 7, 8]).await;
    let refusals: Vec<Settlement> = flights.iter().map(not_let_in).collect();
    life.settle(&refusals[..3]).await;
    assert_eq!(told(world, "host-paused").await, [""; 0], "three mailboxes, and one owner has two of them");
    life.settle(&refusals[3..]).await;
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"], "all that tried, half of them of each owner");
    assert_eq!((stopped(world).await, candidates(world, 59).await), (vec![1, 2, 7], vec![]));
}

pub async fn many_refusals_of_one_owner_and_a_few_of_another_pause_no_third_owner(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    let flights = fly(&life, (1..=8).chain([12])).await;
    let refusals: Vec<Settlement> = flights.iter().map(not_let_in).collect();
    life.settle(&refusals[..7]).await;
    life.settle(&refusals[7..8]).await;
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"], "the first owner's");
    assert_eq!(stopped(world).await, [1, 2, 7, 8]);
    assert_eq!(candidates(world, 1).await, [9, 10, 11, 12, 13], "everybody else sends");
    life.settle(&refusals[8..]).await;
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"; 3], "the second owner's, and the host's");
    assert_eq!((stopped(world).await, candidates(world, 59).await), (vec![1, 2, 7, 8], vec![]));
}

pub async fn an_owners_breaker_counts_for_one_port_and_security(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    for mailbox in 4..=6 {
        world.set_starttls(mailbox, 587).await;
    }
    let flights = fly(&life, 1..=6).await;
    let refused = |mailbox: usize| not_let_in(&flights[mailbox - 1]);
    life.settle(&[refused(1), refused(2), refused(4), refused(5)]).await;
    assert_eq!(told(world, "host-paused").await, [""; 0], "two at each place");
    life.settle(&[refused(3)]).await;
    assert_eq!(told(world, "host-paused").await, ["auth-breaker"]);
    assert_eq!(stopped(world).await, [1, 2, 4, 5]);
    assert_eq!(candidates(world, 1).await, [6, 7, 8, 9, 10, 11, 12, 13], "3 rests");
}

pub async fn what_an_owners_breaker_disabled_comes_back_when_that_owners_probe_is_let_in(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    let flights = fly(&life, 1..=10).await;
    let (theirs, others) = flights.split_at(6);
    life.settle(&[at(0, not_let_in(&others[1]))]).await;
    life.settle(&[at(1, end(&others[0], OutcomeKind::Sent))]).await;
    life.settle(&theirs.iter().map(|flight| at(2, not_let_in(flight))).collect::<Vec<_>>()).await;
    assert_eq!(stopped(world).await, [1, 2, 8]);
    let flight = fly_again(&life, 4, 62).await;
    life.settle(&[at(63, end(&flight, OutcomeKind::Sent))]).await;
    assert_eq!(told(world, "sender-restored").await, ["auth-refused"; 2]);
    assert_eq!(told(world, "host-recovered").await, ["let-in"]);
    assert_eq!(stopped(world).await, [8], "that is the other owner's own matter");
}

pub async fn a_mailbox_that_was_let_in_before_tries_first(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    let first = fly(&life, [5]).await;
    life.settle(&[end(&first[0], OutcomeKind::Sent)]).await;
    let mut flights = fly(&life, [1, 2, 3, 4, 6]).await;
    flights.push(fly_again(&life, 5, 0).await);
    life.settle(&flights.iter().map(|flight| at(1, not_let_in(flight))).collect::<Vec<_>>()).await;
    assert_eq!(stopped(world).await, [1, 2]);
    for minute in [61, 75, 90, 105] {
        let mine: Vec<i64> = candidates(world, minute).await.into_iter().filter(|id| *id <= 6).collect();
        assert_eq!(mine, [5], "{minute} minutes after noon");
    }
}

pub async fn failures_before_auth_of_one_owner_rest_that_owners_mailboxes_at_that_port_only(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    for mailbox in 1..=5 {
        world.set_starttls(mailbox, 2525).await;
    }
    let flights = fly(&life, 1..=5).await;
    life.settle(&flights.iter().map(failed).collect::<Vec<_>>()).await;
    assert_eq!(told(world, "host-paused").await, ["host-unreachable"], "the owner's");
    assert_eq!(candidates(world, 4).await, [6, 7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(life.refusal(ask(3, 1, &[12])).await, Refusal::SenderPaused);
    life.fly(ask(6, 0, &[12])).await;
    assert_eq!(candidates(world, 5).await.len(), 13);

    for minute in [5, 20] {
        let flight = fly_again(&life, 1, minute).await;
        life.settle(&[at(minute, failed(&flight))]).await;
    }
    assert_eq!(told(world, "host-paused").await.len(), 3, "longer each time");
    assert_eq!(candidates(world, 21).await, [6, 7, 8, 9, 10, 11, 12, 13]);
}

pub async fn failures_before_auth_of_two_owners_at_one_port_pause_their_host(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    let flights = fly(&life, [1, 2, 3, 4, 7]).await;
    let failures: Vec<Settlement> = flights.iter().map(failed).collect();
    life.settle(&failures[..4]).await;
    assert_eq!(told(world, "host-paused").await, [""; 0]);
    life.settle(&[at(1, failed(&flights[4]))]).await;
    assert_eq!(told(world, "host-paused").await, ["host-unreachable"]);
    assert_eq!((candidates(world, 5).await, candidates(world, 6).await.len()), (vec![], 13));
    assert_eq!(life.refusal(ask(13, 0, &[12])).await, Refusal::HostPaused);

    let alone = fly_again(&life, 8, 6).await;
    life.settle(&[at(6, failed(&alone))]).await;
    assert_eq!(candidates(world, 7).await.len(), 13, "each pause needs two owners");
    let other = fly_again(&life, 1, 7).await;
    life.settle(&[at(7, failed(&other))]).await;
    assert_eq!((candidates(world, 21).await, candidates(world, 22).await.len() > 6), (vec![], true), "longer now");
    let flight = fly_again(&life, 9, 22).await;
    life.settle(&[at(22, end(&flight, OutcomeKind::Sent))]).await;
    assert_eq!(told(world, "host-recovered").await, ["let-in"]);
}

pub async fn failures_before_auth_of_two_owners_at_two_ports_pause_no_third_owner(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    for mailbox in 1..=6 {
        world.set_starttls(mailbox, 2525).await;
    }
    let flights = fly(&life, [1, 2, 3, 4, 7, 8, 9, 10]).await;
    life.settle(&flights.iter().map(failed).collect::<Vec<_>>()).await;
    assert_eq!(told(world, "host-paused").await, [""; 0]);
    assert_eq!(candidates(world, 1).await.len(), 13);
}

pub async fn a_greeting_that_refuses_one_owner_rests_no_other_owner(world: &dyn LedgerWorld) {
    let life = two_owners(world).await;
    let flights = fly(&life, 1..=1).await;
    let hour = Penalty::Pause(Duration::from_secs(3600));
    let mut refused = failed(&flights[0]);
    refused.outcome.effects = Effects { host: Some(hour), ..Effects::default() };
    life.settle(&[refused]).await;
    assert_eq!(told(world, "host-paused").await, ["host-unreachable"]);
    assert_eq!(candidates(world, 59).await, [7, 8, 9, 10, 11, 12, 13]);
    assert_eq!(candidates(world, 60).await.len(), 13);
}
