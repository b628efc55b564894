//! `Counts` reads the counters of Postgres and Redis; `disagreements` compares the ledger with the worker's own
//! counts.

use std::{cmp::Reverse, collections::BTreeMap};

use anyhow::Context;
use serde::Serialize;
use sqlx::PgPool;

use crate::adapters::{
    postgres::counters::{mark, ran, sums},
    redis::{self, evalshas},
};

/// The calls to a server during a run: those of batches, and periodic ones (ticks, heartbeats).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    pub calls: u64,
    /// The number of all calls divided by the number of batches.
    pub per_batch: f64,
    /// The calls by statement, the most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<Statement>,
}

/// The calls of one statement, which is named by its first words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    pub text: String,
    pub calls: u64,
}

/// The server counters at one moment.
pub(super) struct Counts {
    /// The calls by statement; `None` if Postgres does not count them.
    statements: Option<BTreeMap<String, u64>>,
    evalshas: u64,
    /// The position of the log when the counters were read.
    mark: i64,
}

/// The number of characters that a report shows of a statement.
const SHOWN_CHARS: usize = 60;

impl Counts {
    pub(super) async fn read(database: &PgPool, redis: &redis::Pool) -> anyhow::Result<Counts> {
        let ran = ran(database).await;
        let statements = ran.map(|ran| ran.into_iter().map(|ran| (ran.text, ran.calls.unsigned_abs())).collect());
        let evalshas = evalshas(redis).await.context("what Redis counted")?;
        Ok(Counts { statements, evalshas, mark: mark(database).await.context("where the log is")? })
    }

    pub(super) fn statements_since(&self, before: &Counts, batches: u64) -> Option<Calls> {
        let (after, before) = (self.statements.as_ref()?, before.statements.as_ref()?);
        let since = |(text, calls): (&String, &u64)| {
            let calls = calls.saturating_sub(before.get(text).copied().unwrap_or(0));
            (calls > 0).then(|| Statement { text: shown(text), calls })
        };
        let mut of: Vec<Statement> = after.iter().filter_map(since).collect();
        of.sort_by_key(|statement| Reverse(statement.calls));
        Some(Calls::over(batches, of.iter().map(|statement| statement.calls).sum(), of))
    }

    pub(super) fn evalshas_since(&self, before: &Counts, batches: u64) -> Calls {
        Calls::over(batches, self.evalshas.saturating_sub(before.evalshas), Vec::new())
    }
}

impl Calls {
    fn over(batches: u64, calls: u64, of: Vec<Statement>) -> Calls {
        Calls { calls, per_batch: calls as f64 / batches.max(1) as f64, of }
    }
}

/// Returns the start of a statement without its SQL comments and line ends.
fn shown(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ").chars().take(SHOWN_CHARS).collect()
}

/// Returns each contradiction within the database, or between it and the worker's `sent` and `failed` mails
/// since `before`. Earlier rows of the log are ignored: a database of the caller may hold some.
pub(super) async fn disagreements(
    database: &PgPool,
    before: &Counts,
    sent: u64,
    failed: u64,
) -> anyhow::Result<Vec<String>> {
    let sums = sums(database, before.mark).await?;
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let (sent, failed) = (count(sent), count(failed));
    let same = [
        ("mails sent, and rows SENT", sent, sums.sent_rows),
        ("mails failed, and rows FAILED", failed, sums.failed_rows),
        ("rows, and Message-IDs in them", sums.sent_rows + sums.failed_rows, sums.message_ids),
        ("rows SENT, and the days' count", sums.sent_rows, sums.sent),
        ("rows FAILED, and the days' count", sums.failed_rows, sums.failed),
        ("places that are open, and none", sums.open_places, 0),
        ("mails in flight, and none", sums.in_flight, 0),
    ];
    let differ = same.iter().filter(|(_, left, right)| left != right);
    Ok(differ.map(|(what, left, right)| format!("{what}: {left} and {right}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ran_since_is_counted_and_the_most_frequent_is_first() {
        let counts = |statements: &[(&str, u64)], evalshas| Counts {
            statements: Some(statements.iter().map(|(text, calls)| ((*text).to_owned(), *calls)).collect()),
            evalshas,
            mark: 0,
        };
        let before = counts(&[("-- old\nSELECT 1", 5), ("SELECT 2", 5)], 10);
        let after = counts(&[("-- old\nSELECT 1", 6), ("SELECT 2", 5), ("SELECT  3\n FROM t", 3)], 14);
        let statements = after.statements_since(&before, 2).unwrap();
        let texts: Vec<&str> = statements.of.iter().map(|one| one.text.as_str()).collect();
        assert_eq!((statements.calls, statements.per_batch, texts), (4, 2.0, vec!["SELECT 3 FROM t", "SELECT 1"]));
        assert_eq!(after.evalshas_since(&before, 4).per_batch, 1.0);
    }
}
