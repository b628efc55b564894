//! What only a real server does: it stops, and a statement that waited for a lock sees less than it should.

use std::time::Duration;

use sqlx::{Connection, PgConnection, postgres::PgPoolOptions};
use uuid::Uuid;
use warmup::{
    adapters::postgres::PostgresLedger,
    domain::{
        id::{RunId, ShardId},
        outcome::Fate,
    },
    local::servers::PrivatePostgres,
    ports::{Ledger, PortError},
};
use warmup_support::conformance::ledger::{LedgerWorld, Life, ask, assert_true, end, enrol};

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
    let (ledger, worker, results) = (world.ledger(), life.worker.clone(), [end(&flight, Fate::Sent)]);
    let settling = tokio::spawn(async move { ledger.settle(&worker, &results).await.unwrap() });
    waiting(world.pool(), 2).await;
    held.rollback().await.unwrap();

    assert_eq!(sweeping.await.unwrap().uncertain, 1);
    assert_eq!(settling.await.unwrap(), 1);
    assert_eq!(world.logs().await[0].status, "SENT");
    assert_true(&world, 1, 0).await;
}
