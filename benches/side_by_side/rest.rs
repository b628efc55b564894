//! A worker with 100,000 mailboxes that has nothing to do: the day of all of them is another one.

use std::time::{Duration, Instant};

use chrono::{Datelike, Days, Utc};
use warmup_support::{process::Binary, world};

use super::{BINARY, machine, plan, row::Rows};

const MAILBOXES: usize = 100_000;
const SETTLES: Duration = Duration::from_secs(45);
const LOOK: Duration = Duration::from_secs(60);

/// Memory, and what it uses of a core in a minute.
pub async fn at_rest(rows: &mut Rows) {
    let (database, redis) = tokio::join!(world::postgres(), world::redis());
    plan::fill(database.url(), MAILBOXES, "09:00-17:00").await;
    let other_day = 1_i16 << (Utc::now() + Days::new(3)).weekday().num_days_from_monday();
    sqlx::query("UPDATE mailboxes SET days = $1").bind(other_day).execute(database.pool()).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE").execute(database.pool()).await.unwrap();
    let binary = Binary::new(BINARY, database.url(), &redis.url());
    let binary = binary.with("WARMUP_HTTP_ADDR", "127.0.0.1:0").with("WARMUP_LOG_FORMAT", "json");
    let worker = binary.run();
    worker.address().await;
    tokio::time::sleep(SETTLES).await;
    let (pid, began) = (worker.pid(), Instant::now());
    let before = machine::cpu_of(pid);
    tokio::time::sleep(LOOK).await;
    let used = (machine::cpu_of(pid) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    rows.part("a worker at rest with 100,000 mailboxes");
    rows.at_most("memory", machine::memory(pid, "VmRSS"), 60.0, "MiB");
    rows.note("memory at its start, at most", &format!("{:.0} MiB", machine::memory(pid, "VmHWM")));
    rows.at_most("of a core", used * 100.0, 1.0, "%");
    worker.kill().await;
}
