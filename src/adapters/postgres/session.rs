//! A `Session` runs one statement on one connection, with a time limit and the one kind of repeat that is always safe.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{
    PgPool, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::classify::classify;
use crate::ports::PortError;

/// The attempts of a statement that a deadlock cancels; each attempt was rolled back completely.
const REPEATS: usize = 8;

/// The time limit of a statement: longer than a worker's `statement_timeout` on the server (15 s), so that it only
/// expires when the network fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time limit of statements on a few rows by key, whose only long wait is for a lock; longer than the lock timeout
/// (5 s). A heartbeat or a reserve is nearly always running, so this limit determines the delay after the server
/// vanishes and comes back.
const BRIEF: Duration = Duration::from_secs(10);

pub(super) type Statement = Query<'static, Postgres, PgArguments>;

/// A `Session` runs statements, each as its own transaction.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pool: PgPool,
    patience: Duration,
}

impl Session {
    pub(super) fn new(pool: PgPool) -> Session {
        Session { pool, patience: PATIENCE }
    }

    /// Creates a session for statements that read a few rows by key.
    pub(super) fn brief(pool: PgPool) -> Session {
        Session { pool, patience: BRIEF }
    }

    /// Runs the statement that `build` makes and returns its rows. Repeats it after a deadlock, a serialization failure
    /// or a lost race for a unique key.
    ///
    /// Returns `Unavailable` if the statement did not run, and `Unknown` if its answer was lost.
    pub(super) async fn rows(&self, build: impl Fn() -> Statement) -> Result<Vec<PgRow>, PortError> {
        self.read(build, Ok).await
    }

    /// Runs a statement like `rows`, but decodes each row as it arrives, which saves memory for results of 100,000
    /// rows.
    pub(super) async fn read<T: Send>(
        &self,
        build: impl Fn() -> Statement,
        mut decode: impl FnMut(PgRow) -> Result<T, PortError> + Send,
    ) -> Result<Vec<T>, PortError> {
        let mut conflict = String::new();
        for _ in 0..REPEATS {
            match self.once(build(), &mut decode).await {
                Err(PortError::Conflict(text)) => {
                    tracing::debug!(error = text, "a statement lost a race and is repeated");
                    conflict = text;
                }
                answer => return answer,
            }
        }
        Err(PortError::Conflict(conflict))
    }

    /// Runs a statement that returns exactly one row.
    pub(super) async fn row(&self, build: impl Fn() -> Statement) -> Result<PgRow, PortError> {
        let mut rows = self.rows(build).await?;
        rows.pop().ok_or_else(|| PortError::Permanent("the statement returned no row".into()))
    }

    async fn once<T: Send>(
        &self,
        statement: Statement,
        decode: &mut (impl FnMut(PgRow) -> Result<T, PortError> + Send),
    ) -> Result<Vec<T>, PortError> {
        // Without a connection nothing has been sent, whatever the error is.
        let mut connection = self.pool.acquire().await.map_err(|error| match classify(error) {
            PortError::Unknown(text) => PortError::Unavailable(text),
            other => other,
        })?;
        let answer = async {
            let mut answer = statement.fetch(&mut *connection);
            let mut rows = Vec::new();
            while let Some(row) = answer.try_next().await.map_err(classify)? {
                rows.push(decode(row)?);
            }
            Ok(rows)
        };
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                // The answer may still arrive: it must not meet the next statement.
                drop(connection.detach());
                Err(PortError::Unknown(format!("no answer within {} s", self.patience.as_secs())))
            }
        }
    }
}
