//! `normalize` repairs an older system's `logs` once, with the SQL that psql runs too:
//! `migrations/normalize-log-status.sql`.

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use thiserror::Error;

use super::transaction;

/// The file for psql; this module runs the part between its two marks.
const FILE: &str = include_str!("../../../migrations/normalize-log-status.sql");
const BEGINS: &str = "-- [the repair]\n";
const ENDS: &str = "-- [end of the repair]\n";

/// The prefix of the repair's own SQLSTATEs; `WU001` lists unknown values.
const OURS: &str = "WU";

/// A `NormalizeError` states why nothing was changed.
#[derive(Debug, Error)]
pub enum NormalizeError {
    /// The repair refused; its message explains the cause and the remedy.
    #[error("{0}")]
    Refused(String),
    /// Postgres failed.
    #[error("nothing was changed, Postgres says: {0}")]
    Database(#[from] sqlx::Error),
}

/// `Normalized` reports the result of the repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Normalized {
    /// The stored values, unknown ones first.
    pub before: Vec<Stored>,
    /// The number of rows of each status afterwards: SENT, REPLIED, FAILED.
    pub after: Vec<(String, i64)>,
    /// The number of rows that were written.
    pub changed: i64,
    /// The constraints that were dropped and added.
    pub notes: Vec<String>,
}

/// A `Stored` is a value as it was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// The value in quotes, with escapes for invisible characters.
    pub stored: String,
    pub becomes: String,
    pub rows: i64,
}

/// Repairs `table` in one transaction that locks out all others; values beyond the three statuses become `unknown_as`.
/// Repeatable: correct rows are not written.
///
/// Returns `Refused` with the list of unknown values if `unknown_as` is `None`, and for any table that is not an older
/// system's log; nothing is changed then.
pub async fn normalize(pool: &PgPool, table: &str, unknown_as: Option<&str>) -> Result<Normalized, NormalizeError> {
    let mut transaction = transaction::begin(pool).await?;
    sqlx::query("SELECT set_config('warmup.table', $1, true), set_config('warmup.unknown_as', $2, true)")
        .bind(table)
        .bind(unknown_as.unwrap_or_default())
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(repair()).execute(&mut *transaction).await.map_err(explain)?;
    let report: (String, String, String, String) = sqlx::query_as(REPORT).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    let wrong = |error: serde_json::Error| NormalizeError::Database(sqlx::Error::Decode(error.into()));
    let after: std::collections::BTreeMap<String, i64> = serde_json::from_str(&report.1).map_err(wrong)?;
    let rows = |status: &str| (status.to_owned(), after.get(status).copied().unwrap_or_default());
    Ok(Normalized {
        before: serde_json::from_str(&report.0).map_err(wrong)?,
        after: ["SENT", "REPLIED", "FAILED"].map(rows).to_vec(),
        changed: report.2.parse().unwrap_or_default(),
        notes: serde_json::from_str(&report.3).map_err(wrong)?,
    })
}

const REPORT: &str = "
    SELECT current_setting('warmup.before'), current_setting('warmup.after'), current_setting('warmup.changed'),
           current_setting('warmup.notes')";

fn repair() -> &'static str {
    FILE.split_once(BEGINS)
        .and_then(|(_, rest)| rest.split_once(ENDS))
        .map(|(repair, _)| repair)
        .expect("the file has both marks: a test reads it")
}

/// Adds detail and hint to the repair's own errors; returns other errors of Postgres as they are.
fn explain(error: sqlx::Error) -> NormalizeError {
    let sqlx::Error::Database(database) = &error else { return error.into() };
    if !database.code().is_some_and(|code| code.starts_with(OURS)) {
        return error.into();
    }
    let Some(said) = database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() else { return error.into() };
    let mut text = said.message().to_owned();
    for line in said.detail().into_iter().flat_map(str::lines) {
        text.push_str(&format!("\n  {line}"));
    }
    if let Some(hint) = said.hint() {
        text.push_str(&format!("\n{hint}"));
    }
    NormalizeError::Refused(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repair_is_plain_sql_in_ascii() {
        let text = repair();
        assert!(text.starts_with("DO $repair$") && text.trim_end().ends_with("END $repair$;"));
        assert!(!text.lines().any(|line| line.starts_with('\\')), "psql's own commands stand outside of the marks");
        assert!(text.is_ascii(), "whatever encoding a client speaks");
    }
}
