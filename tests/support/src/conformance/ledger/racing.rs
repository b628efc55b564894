//! These cases check racing callers, and each error of the port.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;
use warmup::{
    domain::{id::RunId, outcome::OutcomeKind},
    ports::{PortError, Reservation, Settlement},
};

use super::{LedgerWorld, Life, SHARD, ask, assert_true, end, enrol, noon};

pub async fn one_of_many_racers_gets_the_last_place(world: &dyn LedgerWorld) {
    enrol(world, 12, 1).await;
    let life = Life::begin(world).await;
    let racers: Vec<_> = (2..=11)
        .map(|partner| {
            let (ledger, batch) = (Arc::clone(&life.ledger), life.batch(vec![ask(1, 0, &[partner])]));
            tokio::spawn(async move { ledger.reserve(&batch).await.unwrap().remove(0) })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        won += usize::from(matches!(racer.await.unwrap(), Reservation::Reserved(_)));
    }
    assert_eq!((won, life.day(1).await.reserved, world.pairs().await.len()), (1, 1, 1));
}

/// Eight racers request all mailboxes, each in its own order, and settle the reserved mails until nothing is
/// left.
pub async fn racers_on_overlapping_batches_pass_no_quota(world: &dyn LedgerWorld) {
    const MAILBOXES: i64 = 40;
    const QUOTA: u16 = 4;
    enrol(world, MAILBOXES, QUOTA).await;
    let life = Life::begin(world).await;
    let racers: Vec<_> = (0..8usize)
        .map(|racer| {
            let (ledger, worker) = (Arc::clone(&life.ledger), life.worker.clone());
            let mut batch = life.batch(Vec::new());
            tokio::spawn(async move {
                for round in 0..12 {
                    let mut asks = Vec::new();
                    for mailbox in 1..=MAILBOXES {
                        // The attempts are guessed: most guesses are stale, on purpose.
                        let attempts = (round % 6) as u16;
                        let partners: Vec<i64> = (1..MAILBOXES).map(|n| (mailbox + n - 1) % MAILBOXES + 1).collect();
                        asks.push(ask(mailbox, attempts, &partners));
                    }
                    asks.rotate_left(racer * 5);
                    if racer % 2 == 1 {
                        asks.reverse();
                    }
                    batch.asks = asks;
                    let answers = ledger.reserve(&batch).await.expect("no error of a race reaches the caller");
                    let mut ends: Vec<_> = answers
                        .iter()
                        .filter_map(|answer| match answer {
                            Reservation::Reserved(flight) => Some(flight),
                            Reservation::Refused(_) => None,
                        })
                        .zip(
                            [OutcomeKind::Sent, OutcomeKind::Refused, OutcomeKind::Uncertain, OutcomeKind::Unstarted]
                                .into_iter()
                                .cycle(),
                        )
                        .map(|(flight, fate)| end(flight, fate))
                        .collect();
                    ends.reverse();
                    ledger.settle(&worker, &ends).await.expect("no error of a race reaches the caller");
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    assert_eq!(world.in_flight().await, 0);
    for mailbox in 1..=MAILBOXES {
        assert_true(world, mailbox, 0).await;
    }
    assert!(!world.logs().await.is_empty());
}

pub async fn racing_raises_have_one_winner(world: &dyn LedgerWorld) {
    let life = Life::begin(world).await;
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (ledger, worker, epoch) = (Arc::clone(&life.ledger), life.worker.clone(), life.epoch);
            tokio::spawn(async move { ledger.raise(&worker, &[(SHARD, epoch)]).await.unwrap().remove(0) })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        winners += usize::from(racer.await.unwrap().is_some());
    }
    assert_eq!(winners, 1);
}

pub async fn a_service_that_is_away_is_unavailable(world: &dyn LedgerWorld) {
    enrol(world, 2, 5).await;
    let life = Life::begin(world).await;
    world.go_away().await;
    let answer = life.ledger.reserve(&life.batch(vec![ask(1, 0, &[2])])).await;
    assert!(matches!(answer, Err(PortError::Unavailable(_))), "{answer:?}");
}

pub async fn a_lost_answer_is_unknown_and_can_be_abandoned(world: &dyn LedgerWorld) {
    enrol(world, 2, 5).await;
    let life = Life::begin(world).await;
    let asked = ask(1, 0, &[2]);
    let ids = [asked.message_id.clone()];
    world.lose_next_answer().await;
    let answer = life.ledger.reserve(&life.batch(vec![asked])).await;
    assert!(matches!(answer, Err(PortError::Unknown(_))), "{answer:?}");
    assert_eq!(life.ledger.release(life.run, &ids, noon()).await.unwrap(), 1, "it had been done");
    assert_true(world, 1, 0).await;
}

pub async fn a_lost_request_is_unknown_and_nothing_happened(world: &dyn LedgerWorld) {
    enrol(world, 2, 5).await;
    let life = Life::begin(world).await;
    let asked = ask(1, 0, &[2]);
    world.lose_next_request().await;
    let answer = life.ledger.reserve(&life.batch(vec![asked.clone()])).await;
    assert!(matches!(answer, Err(PortError::Unknown(_))), "{answer:?}");
    assert_eq!(life.ledger.release(life.run, std::slice::from_ref(&asked.message_id), noon()).await.unwrap(), 0);
    assert_eq!((life.day(1).await.attempts, world.pairs().await.len()), (0, 0));
    life.fly(asked).await;
}

pub async fn a_settle_whose_answer_was_lost_is_repeated_without_harm(world: &dyn LedgerWorld) {
    enrol(world, 2, 5).await;
    let life = Life::begin(world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    let results = [end(&flight, OutcomeKind::Sent)];
    life.settle(&[]).await;
    world.lose_next_answer().await;
    let answer = life.ledger.settle(&life.worker, &results).await;
    assert!(matches!(answer, Err(PortError::Unknown(_))), "{answer:?}");
    assert_eq!(life.settle(&results).await, 0, "it had been done");
    assert_eq!(world.logs().await.len(), 1);
    assert_true(world, 1, 0).await;
}

/// Settles and sweeps end the same flights at once: the first one ends a flight, and only a late answer is
/// certain.
pub async fn racing_ends_of_one_flight_write_one_row(world: &dyn LedgerWorld) {
    const MAILBOXES: i64 = 20;
    enrol(world, MAILBOXES, 1).await;
    let life = Life::begin(world).await;
    let asks = (1..=MAILBOXES).map(|mailbox| ask(mailbox, 0, &[mailbox % MAILBOXES + 1])).collect();
    let ends: Vec<Settlement> = life
        .reserve(asks)
        .await
        .iter()
        .filter_map(|answer| match answer {
            Reservation::Reserved(flight) => Some(end(flight, OutcomeKind::Sent)),
            Reservation::Refused(_) => None,
        })
        .collect();
    world.age(Duration::from_secs(61)).await;
    let racers: Vec<_> = (0..8usize)
        .map(|racer| {
            let (ledger, worker, mut ends) = (Arc::clone(&life.ledger), life.worker.clone(), ends.clone());
            let sweep = life.sweep_of(RunId(Uuid::now_v7()), vec![]);
            ends.rotate_left(racer * 2);
            tokio::spawn(async move {
                if racer % 4 == 0 {
                    ledger.sweep(&sweep).await.map(|_| ())
                } else {
                    ledger.settle(&worker, &ends).await.map(|_| ())
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap().expect("no error of a race reaches the caller");
    }
    let logs = world.logs().await;
    assert_eq!((logs.len(), world.in_flight().await), (MAILBOXES as usize, 0));
    assert!(logs.iter().all(|row| row.status == "SENT"), "the answer was known and is in the row: {logs:?}");
    for mailbox in 1..=MAILBOXES {
        assert_true(world, mailbox, 0).await;
    }
}
