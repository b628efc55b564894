//! Callers that vanish while their transaction begins: what runs on their connection afterwards is committed.

use std::future::Future;

use chrono::NaiveDate;
use sqlx::{PgPool, postgres::PgPoolOptions};
use warmup::{
    adapters::postgres::{PostgresDuties, transaction},
    domain::maintenance::PruneTarget,
    ports::MaintenanceStore,
};
use warmup_support::{
    proxy::{Hold, PostgresProxy},
    world::postgres,
};

/// Drops what `begins` makes while the answer to its BEGIN is on its way, writes a row by the same pool of one connection, and
/// returns how many rows others see.
async fn rows_after_a_drop<F: Future<Output = ()> + Send + 'static>(begins: impl FnOnce(PgPool) -> F) -> i64 {
    let database = postgres().await;
    let proxy = PostgresProxy::to(database.url()).await;
    let pool = PgPoolOptions::new().max_connections(1).connect(proxy.url()).await.unwrap();
    sqlx::query("CREATE TABLE written (id int)").execute(database.pool()).await.unwrap();

    proxy.hold("BEGIN", Hold::Answer);
    let caller = tokio::spawn(begins(pool.clone()));
    proxy.sprung().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    proxy.release();

    sqlx::query("INSERT INTO written VALUES (1)").execute(&pool).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM written").fetch_one(database.pool()).await.unwrap()
}

#[tokio::test]
async fn what_follows_a_transaction_whose_caller_was_dropped_is_committed() {
    let begins = async |pool: PgPool| drop(transaction::begin(&pool).await);
    assert_eq!(rows_after_a_drop(begins).await, 1);
}

#[tokio::test]
async fn what_follows_a_deletion_that_was_dropped_is_committed() {
    let retire = async |pool: PgPool| {
        let before = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        drop(PostgresDuties::new(pool).prune(PruneTarget::Events, before).await);
    };
    assert_eq!(rows_after_a_drop(retire).await, 1);
}
