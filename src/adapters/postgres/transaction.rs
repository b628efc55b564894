//! Transactions that a caller who vanishes can't leave open.
//!
//! sqlx takes a transaction for open once BEGIN was answered. A caller that is dropped before that (its worker stops, its client
//! hangs up) would put a connection back into the pool inside of a transaction of which the pool knows nothing. Whatever runs
//! on that connection later would be answered and never committed.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, PgPool, Postgres, Transaction, pool::PoolConnection};

/// Begins a transaction on a connection of `pool`. It is rolled back unless it is committed, also when the caller is dropped
/// while it begins: a task of its own takes the answer.
///
/// Returns the errors of sqlx's `Pool::begin`.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.begin().await }).await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

/// A connection of a pool that is closed when it is dropped, unless it was put back: an unfinished statement or transaction
/// ends with it.
pub(super) struct ClosedOnDrop(Option<PoolConnection<Postgres>>);

impl ClosedOnDrop {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> ClosedOnDrop {
        ClosedOnDrop(Some(connection))
    }

    /// Puts the connection back into its pool.
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
