//! `begin` starts transactions that a vanishing caller can't leave open.
//!
//! sqlx registers a transaction once BEGIN was answered. A caller may be dropped before that: its worker stops, or its
//! client hangs up. The connection would then return to the pool inside a transaction unknown to the pool. Later
//! statements on that connection would be answered and never committed.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, PgPool, Postgres, Transaction, pool::PoolConnection};

/// Begins a transaction on a connection of `pool`. The transaction is rolled back unless it is committed, also if the
/// caller is dropped during BEGIN: a separate task receives the answer.
///
/// Returns the errors of sqlx's `Pool::begin`.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.begin().await }).await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

/// A `ClosedOnDrop` is a pooled connection that closes on drop, unless it was put back: an unfinished statement or
/// transaction ends with it.
pub(super) struct ClosedOnDrop(Option<PoolConnection<Postgres>>);

impl ClosedOnDrop {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> ClosedOnDrop {
        ClosedOnDrop(Some(connection))
    }

    /// Returns the connection to its pool.
    pub(super) fn put_back(mut self) {
        self.0 = None;
    }
}

impl Deref for ClosedOnDrop {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("it is there until it is dropped or put back")
    }
}

impl DerefMut for ClosedOnDrop {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is there until it is dropped or put back")
    }
}

impl Drop for ClosedOnDrop {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
