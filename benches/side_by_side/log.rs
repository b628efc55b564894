//! The database after a day of 3,000,000 rows in the log, durable as Postgres is by default.

use std::{collections::BTreeMap, time::Instant};

use chrono::{Days, Utc};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};
use warmup::{
    adapters::postgres::PostgresDuties,
    domain::duties::Kept,
    local::servers::{Durability, PrivatePostgres, PrivateRedis},
    ports::Duties,
};
use warmup_support::{process::Binary, smtp::postfix::SmtpSink};

use super::{BINARY, row::Rows, send};

const ROWS: u64 = 3_000_000;
const SENDS: u64 = 10_000;
const TIMES: usize = 3;
const OLDEST: u64 = 100;

/// Settles on an empty table and on a full one in turn, then drops a day of as many rows.
pub async fn of_a_large_day(rows: &mut Rows) {
    let folder = tempfile::tempdir().unwrap();
    let server = PrivatePostgres::start(folder.path(), Durability::Durable).await.unwrap();
    let redis = PrivateRedis::start(folder.path()).await.unwrap();
    let sink = SmtpSink::start().await;
    // Not the pool of the program: its statements are given up long before such a day is written.
    let main = PgPool::connect(server.url()).await.unwrap();
    let (mut empty, mut full) = (vec![], vec![]);
    for time in 0..TIMES {
        // A bench wants a database without mailboxes: each has its own.
        for (logged, settled) in [(0, &mut empty), (ROWS, &mut full)] {
            let url = database(&main, server.url(), &format!("bench_{time}_{logged}")).await;
            let database = PgPool::connect(&url).await.unwrap();
            Binary::new(BINARY, &url, &redis.url()).command(&["migrate"], "").await;
            log(&database, logged).await;
            settled.push(settle(&url, &redis.url(), sink.port()).await);
            if logged > 0 && time + 1 == TIMES {
                dropped(rows, &database).await;
            }
        }
    }
    let (empty, full) = (send::median(empty), send::median(full));
    rows.note("a batch is settled on an empty table, p50", &format!("{empty:.2} ms"));
    rows.note("a batch is settled on a day of 3,000,000 rows, p50", &format!("{full:.2} ms"));
    rows.at_most("of the time on an empty table", full / empty, 1.2, "");
    redis.stop().await;
    server.stop().await;
}

async fn database(main: &PgPool, url: &str, name: &str) -> String {
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(main).await.unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// Writes `rows` rows for today, and as many for a day that is too old.
async fn log(database: &PgPool, rows: u64) {
    const FILL: &str = "
        INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, worker_id,
                          latency_ms)
        SELECT nextval('flight_ids'), day + interval '12 h', day, n % 100000, n % 99999, 'box' || n % 100000 || '@d.test',
               'box' || n % 99999 || '@d.test', 'About the minutes', md5(random()::text) || '@d.test', 'SENT', 'earlier', 300
        FROM unnest(ARRAY[current_date, current_date - $1]) AS day, generate_series(1, $2) AS n";
    sqlx::query("SELECT ensure_log_partitions(current_date - $1, current_date + 14)")
        .bind(i32::try_from(OLDEST).unwrap())
        .execute(database)
        .await
        .unwrap();
    let fill = sqlx::query(FILL).bind(i32::try_from(OLDEST).unwrap()).bind(i64::try_from(rows).unwrap());
    fill.execute(database).await.unwrap();
    sqlx::raw_sql("VACUUM ANALYZE logs").execute(database).await.unwrap();
    sqlx::raw_sql("CHECKPOINT").execute(database).await.unwrap();
}

async fn settle(url: &str, redis: &str, sink: u16) -> f64 {
    let (smtp, sends) = (format!("localhost:{sink}"), SENDS.to_string());
    let asked =
        ["bench", "send", "--json", "--smtp", &smtp, "--sends", &sends, "--security", "none", "--given-servers"];
    let asked: Vec<String> = asked.iter().map(|word| (*word).to_owned()).collect();
    let variables: BTreeMap<&str, &str> = BTreeMap::from([("DATABASE_URL", url), ("REDIS_URL", redis)]);
    let told = send::send_with(&asked, &variables.into_iter().collect::<Vec<_>>()).await;
    let steps: &Vec<Value> = told["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == "settle").unwrap()["p50Ms"].as_f64().unwrap()
}

/// Times the daily duty on the oldest day.
async fn dropped(rows: &mut Rows, database: &PgPool) {
    let (duties, before) = (PostgresDuties::new(database.clone()), Utc::now().date_naive() - Days::new(OLDEST - 1));
    let began = Instant::now();
    while duties.retire(Kept::Logs, before).await.unwrap().more {}
    let took = began.elapsed().as_secs_f64();
    rows.part("the database after a day of 3,000,000 rows in the log");
    rows.at_most("dropping the oldest day", took, 1.0, "s");
}
