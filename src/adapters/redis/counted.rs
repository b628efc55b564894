//! `evalshas` reads Redis's own call counter, for the benchmarks.

use redis::cmd;

use super::pool::{self, Pool};
use crate::ports::PortError;

/// Returns the number of EVALSHA calls on the node that has our keys, since its counter began.
pub async fn evalshas(pool: &Pool) -> Result<u64, PortError> {
    let told: String = pool::query(pool, cmd("INFO").arg("commandstats")).await?;
    let line = told.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    Ok(line.and_then(|line| line.split(',').next()).and_then(|calls| calls.parse().ok()).unwrap_or(0))
}
