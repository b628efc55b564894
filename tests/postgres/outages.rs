//! What only a real server does: it stops, it vanishes without a word, and a statement that waited for a lock sees less
//! than it should.

use std::time::Duration;

use sqlx::{Connection, PgConnection, postgres::PgPoolOptions};
use uuid::Uuid;
use warmup::{
    adapters::postgres::{PostgresLedger, pool},
    domain::{
        id::{RunId, ShardId},
        outcome::OutcomeKind,
    },
    local::servers::PrivatePostgres,
    ports::{Ledger, PortError},
};
use warmup_support::{
    conformance::ledger::{LedgerWorld, Life, SHARD, ask, assert_true, end, enrol},
    wire::{Fault, Wire, port_of},
    world::{eventually, postgres},
};

use crate::{ledger::racing_world, sessions::waiting};

#[tokio::test]
async fn a_server_that_stopped_is_unavailable() {
    let server = PrivatePostgres::temporary().await.unwrap();
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(2)).connect(server.url()).await.unwrap();
    sqlx::migrate!("./migrations").run(&pool).await.unwrap();
    let ledger = PostgresLedger::new(pool, 1.0);
    assert!(matches!(ledger.epochs(&[]).await, Ok(epochs) if epochs.is_empty()));
    server.stop().await;
    for _ in 0..2 {
        let answer = ledger.epochs(&[ShardId(0)]).await;
        assert!(matches!(answer, Err(PortError::Unavailable(_))), "{answer:?}");
    }
}

/// The settle's snapshot is older than the sweep's row: the ledger has to look twice.
#[tokio::test]
async fn a_late_answer_finds_the_row_of_a_sweep_that_it_waited_for() {
    let world = racing_world().await;
    enrol(&world, 2, 5).await;
    let life = Life::begin(&world).await;
    let flight = life.fly(ask(1, 0, &[2])).await;
    world.age(Duration::from_secs(61)).await;

    let mut holder = PgConnection::connect(world.database.url()).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT FROM in_flight FOR UPDATE").execute(&mut *held).await.unwrap();
    let (ledger, sweep) = (world.ledger(), life.sweep_of(RunId(Uuid::now_v7()), vec![]));
    let sweeping = tokio::spawn(async move { ledger.sweep(&sweep).await.unwrap() });
    waiting(world.pool(), 1).await;
    let (ledger, worker, results) = (world.ledger(), life.worker.clone(), [end(&flight, OutcomeKind::Sent)]);
    let settling = tokio::spawn(async move { ledger.settle(&worker, &results).await.unwrap() });
    waiting(world.pool(), 2).await;
    held.rollback().await.unwrap();

    assert_eq!(sweeping.await.unwrap().uncertain, 1);
    assert_eq!(settling.await.unwrap(), 1);
    assert_eq!(world.logs().await[0].status, "SENT");
    assert_true(&world, 1, 0).await;
}

/// Longer than a worker's statement may be under way, shorter than what is left of the time in which sending goes on.
const GIVEN_UP: Duration = Duration::from_secs(15);

/// Longer than a connection that was used is taken for alive. The pool looks at the real clock: it has to lie so long.
const IDLE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn ten_connections_that_died_without_a_word_cost_one_wait() {
    let database = postgres().await;
    let way = Wire::to(port_of(database.url())).await;
    let pool = pool::connect_worker(&way.url(database.url()).into(), 10).await.unwrap();
    let mut connections = Vec::new();
    for _ in 0..10 {
        connections.push(pool.acquire().await.unwrap());
    }
    drop(connections);
    eventually(GIVEN_UP, async || pool.num_idle() == 10).await;
    tokio::time::sleep(IDLE).await;

    way.cut(Fault::Hole);
    way.heal();

    let answer = PostgresLedger::new(pool, 1.0).epochs(&[]).await;
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn a_heartbeat_that_is_under_way_when_its_server_vanishes_is_given_up() {
    let database = postgres().await;
    let way = Wire::to(port_of(database.url())).await;
    let pool = pool::connect_worker(&way.url(database.url()).into(), 2).await.unwrap();
    let mut holder = PgConnection::connect(database.url()).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("LOCK TABLE shards").execute(&mut *held).await.unwrap();
    let asking = tokio::spawn(async move { PostgresLedger::new(pool, 1.0).epochs(&[ShardId(0)]).await });
    waiting(database.pool(), 1).await;

    way.cut(Fault::Hole);
    way.heal();

    let answer = tokio::time::timeout(GIVEN_UP, asking).await.expect("it is given up").unwrap();
    assert!(matches!(answer, Err(PortError::Unknown(_))), "{answer:?}");
}

/// It holds its shards' rows while it waits: if its worker is dead, nobody could own them so long.
#[tokio::test]
async fn a_reserve_that_waits_for_a_locked_day_lets_the_next_owner_in() {
    let world = racing_world().await;
    enrol(&world, 2, 5).await;
    let life = Life::begin(&world).await;
    let pool = pool::connect_worker(&world.database.url().into(), 2).await.unwrap();
    let mut holder = PgConnection::connect(world.database.url()).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT FROM mailbox_days FOR UPDATE").execute(&mut *held).await.unwrap();
    let (ledger, batch) = (PostgresLedger::new(pool, 1.0), life.batch(vec![ask(1, 0, &[2])]));
    let reserving = tokio::spawn(async move { ledger.reserve(&batch).await });
    waiting(world.pool(), 1).await;

    let (ledger, worker, read) = (world.ledger(), life.worker.clone(), [(SHARD, life.epoch)]);
    let raising = async move { ledger.raise(&worker, &read).await.unwrap()[0] };
    let raised = tokio::time::timeout(GIVEN_UP, raising).await.expect("the next owner gets in");

    assert!(raised > Some(life.epoch));
    let refused = reserving.await.unwrap();
    assert!(matches!(refused, Err(PortError::Unavailable(_))), "{refused:?}");
    held.rollback().await.unwrap();
    assert_true(&world, 1, 0).await;
}
