//! One statement on one connection, with patience and the one kind of repeat that is always safe.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{
    PgPool, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::classify::classify;
use crate::ports::PortError;

/// The statements a deadlock's victim may cost; each was rolled back whole.
const REPEATS: usize = 8;

/// Longer than the server's own `statement_timeout` for a worker (15 s), so that this one only speaks when the network is
/// gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// For statements on a handful of rows by their keys, whose only long wait is for a lock. Longer than that may take (5 s).
/// The heartbeat or a reserve is nearly always under way, so when the server vanishes and comes back this is what its
/// return costs.
const BRIEF: Duration = Duration::from_secs(10);

pub(super) type Statement = Query<'static, Postgres, PgArguments>;

/// Runs statements, each its own transaction.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pool: PgPool,
    patience: Duration,
}

impl Session {
    pub(super) fn new(pool: PgPool) -> Session {
        Session { pool, patience: PATIENCE }
    }

    /// One whose statements look at a handful of rows by their keys.
    pub(super) fn brief(pool: PgPool) -> Session {
        Session { pool, patience: BRIEF }
    }

    /// Runs the statement that `build` makes and returns its rows. Repeats it after a deadlock, a serialization failure
    /// or a lost race for a unique key.
    ///
    /// Returns `Unavailable` when it did not happen, `Unknown` when the answer was lost.
    pub(super) async fn rows(&self, build: impl Fn() -> Statement) -> Result<Vec<PgRow>, PortError> {
        self.read(build, Ok).await
    }

    /// The same for rows by the hundred thousand: each is made by `decode` what it is held as, when it comes.
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
        // Nothing has been sent before there is a connection, whatever the error.
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
                // Its answer may still come: it must not meet the next statement.
                drop(connection.detach());
                Err(PortError::Unknown(format!("no answer within {} s", self.patience.as_secs())))
            }
        }
    }
}
