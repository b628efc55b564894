//! `delete` runs one step of a deletion, planned for its index.
//!
//! A maintenance job deletes the oldest rows of a table in steps. The planner's statistics describe the retained days,
//! not the oldest rows. It would rather read and sort a small table than follow the index, and pay for all retained
//! rows at each step. So a step is a short transaction in which the planner may only use the index in its order.

use std::time::Duration;

use chrono::NaiveDate;
use sqlx::{Connection, PgPool};

use crate::{
    adapters::postgres::{classify::classify, transaction::ClosedOnDrop},
    ports::PortError,
};

/// The time limit of one step: longer than a worker's `statement_timeout` on the server (15 s).
const PATIENCE: Duration = Duration::from_secs(20);

const ONLY_BY_INDEX: &str = "
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
           set_config('enable_sort', 'off', true)";

/// Runs `statement`, which deletes at most `most` rows that are older than `before`, and returns their number.
///
/// Returns `Unavailable` if nothing was deleted, and `Unknown` if the answer was lost.
pub(super) async fn delete(
    pool: &PgPool,
    statement: &'static str,
    before: NaiveDate,
    most: i64,
) -> Result<i64, PortError> {
    let connection = pool.acquire().await.map_err(|error| match classify(error) {
        PortError::Unknown(text) => PortError::Unavailable(text),
        other => other,
    })?;
    let mut connection = ClosedOnDrop::new(connection);
    let deleting = async {
        let mut transaction = connection.begin().await?;
        sqlx::query(ONLY_BY_INDEX).execute(&mut *transaction).await?;
        let statement = sqlx::query_scalar(statement).persistent(false).bind(before).bind(most);
        let deleted = statement.fetch_one(&mut *transaction).await?;
        transaction.commit().await.map(|()| deleted)
    };
    match tokio::time::timeout(PATIENCE, deleting).await {
        Ok(answer) => {
            connection.put_back();
            answer.map_err(classify)
        }
        Err(_) => Err(PortError::Unknown(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}
