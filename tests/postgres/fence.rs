//! The fence between two owners of a shard: a reserve and a raise at the same moment, in both orders (I6).

use sqlx::{Connection, PgConnection};
use warmup::ports::{Refusal, Reservation};
use warmup_support::conformance::ledger::{LedgerWorld, Life, SHARD, ask, assert_true, enrol};

use crate::{ledger::racing_world, sessions::waiting};

#[tokio::test]
async fn a_raise_waits_for_the_reserve_that_is_under_way() {
    let world = racing_world().await;
    enrol(&world, 2, 5).await;
    let life = Life::begin(&world).await;
    let mut holder = PgConnection::connect(world.database.url()).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT FROM mailbox_days FOR UPDATE").execute(&mut *held).await.unwrap();
    let (ledger, batch) = (world.ledger(), life.batch(vec![ask(1, 0, &[2])]));
    let reserving = tokio::spawn(async move { ledger.reserve(&batch).await.unwrap().remove(0) });
    waiting(world.pool(), 1).await;
    let (ledger, worker, read) = (world.ledger(), life.worker.clone(), [(SHARD, life.epoch)]);
    let raising = tokio::spawn(async move { ledger.raise(&worker, &read).await.unwrap()[0] });
    waiting(world.pool(), 2).await;
    held.rollback().await.unwrap();

    assert!(matches!(reserving.await.unwrap(), Reservation::Reserved(_)), "it was first");
    assert!(raising.await.unwrap() > Some(life.epoch));
    assert_true(&world, 1, 1).await;
}

#[tokio::test]
async fn a_reserve_that_waited_for_a_raise_reserves_nothing() {
    let world = racing_world().await;
    enrol(&world, 2, 5).await;
    let life = Life::begin(&world).await;
    let mut holder = PgConnection::connect(world.database.url()).await.unwrap();
    let mut raising = holder.begin().await.unwrap();
    sqlx::query("UPDATE shards SET epoch = epoch + 1").execute(&mut *raising).await.unwrap();
    let (ledger, batch) = (world.ledger(), life.batch(vec![ask(1, 0, &[2])]));
    let reserving = tokio::spawn(async move { ledger.reserve(&batch).await.unwrap().remove(0) });
    waiting(world.pool(), 1).await;
    raising.commit().await.unwrap();

    assert_eq!(reserving.await.unwrap(), Reservation::Refused(Refusal::ShardLost));
    assert_eq!((life.day(1).await.reserved, world.in_flight().await), (0, 0));
}

/// The quota is looked at on the row as it is once its lock is ours, not as it was when the statement began (I1).
#[tokio::test]
async fn a_reserve_that_waited_for_another_ones_place_takes_none() {
    let world = racing_world().await;
    enrol(&world, 3, 1).await;
    let life = Life::begin(&world).await;
    let mut holder = PgConnection::connect(world.database.url()).await.unwrap();
    let mut other = holder.begin().await.unwrap();
    sqlx::query("UPDATE mailbox_days SET reserved = 1 WHERE mailbox_id = 1").execute(&mut *other).await.unwrap();
    let (ledger, batch) = (world.ledger(), life.batch(vec![ask(1, 0, &[2]), ask(2, 0, &[3])]));
    let reserving = tokio::spawn(async move { ledger.reserve(&batch).await.unwrap() });
    waiting(world.pool(), 1).await;
    other.commit().await.unwrap();

    let answers = reserving.await.unwrap();
    assert!(matches!(answers[0], Reservation::Refused(_)) && matches!(answers[1], Reservation::Reserved(_)));
    assert_eq!((life.day(1).await.reserved, world.pairs().await), (1, vec![(2, 3, 0)]));
}
