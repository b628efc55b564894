//! The database after a day of 3,000,000 rows in the log, durable as Postgres is by default.

use std::{path::Path, time::Instant};

use chrono::{Days, Utc};
use sqlx::{AssertSqlSafe, PgPool};
use warmup::{
    adapters::postgres::PostgresDuties,
    domain::maintenance::PruneTarget,
    local::servers::{Durability, PrivatePostgres, PrivateRedis},
    ports::MaintenanceStore,
};
use warmup_support::{process::Binary, smtp::postfix::SmtpSink};

use super::{BINARY, row::Rows, send};

const ROWS: i64 = 3_000_000;
const SENDS: u64 = 10_000;
const TIMES: usize = 3;
/// Days of the log that are kept; the large day before them is dropped.
const KEPT: u16 = 90;
/// Lets the mailboxes of a bench lie all over the 100,000 that are in the log.
const SPREAD: &str = "ALTER TABLE mailboxes ALTER COLUMN id SET INCREMENT BY 300";

/// The servers of this part, and two databases to begin from: one with an empty log, one with a large day in it.
struct Servers {
    postgres: PrivatePostgres,
    sink: SmtpSink,
    /// Not the pool of the program: its statements are given up long before such a day is written.
    main: PgPool,
}

/// Drops a day of 3,000,000 rows, then settles on an empty table and on one with another such day in turn.
pub async fn of_a_large_day(rows: &mut Rows) {
    let folder = tempfile::tempdir().unwrap();
    let servers = Servers::start(folder.path()).await;
    let dropped = servers.on("large", drop_oldest).await;
    let (mut empty, mut full) = (vec![], vec![]);
    for _ in 0..TIMES {
        empty.push(servers.settle("empty").await);
        full.push(servers.settle("large").await);
    }
    rows.part("the database after a day of 3,000,000 rows in the log");
    rows.at_most("dropping the oldest day", dropped, 1.0, "s");
    let (empty, full) = (send::median(empty), send::median(full));
    rows.note("a batch is settled on an empty table, p50", &format!("{empty:.2} ms"));
    rows.note("a batch is settled on that day's, p50", &format!("{full:.2} ms"));
    rows.at_most("settle p50, of an empty table's", full / empty, 1.2, "x");
    servers.postgres.stop().await;
}

impl Servers {
    async fn start(folder: &Path) -> Servers {
        let postgres = PrivatePostgres::start(folder, Durability::Durable).await.unwrap();
        let main = PgPool::connect(postgres.url()).await.unwrap();
        let servers = Servers { postgres, sink: SmtpSink::start().await, main };
        servers.copy("template0", "empty").await;
        Binary::new(BINARY, &servers.url("empty"), "").command(&["migrate"], "").await;
        servers.on("empty", async |database: &PgPool| run(database, SPREAD).await).await;
        servers.copy("empty", "large").await;
        servers.on("large", fill).await;
        servers
    }

    fn url(&self, database: &str) -> String {
        let (server, _) = self.postgres.url().rsplit_once('/').unwrap();
        format!("{server}/{database}")
    }

    /// By files: a log of a copy of three million rows would be written for minutes.
    async fn copy(&self, from: &str, to: &str) {
        run(&self.main, &format!("CREATE DATABASE {to} TEMPLATE {from} STRATEGY file_copy")).await;
    }

    /// Nobody may be connected to what is copied.
    async fn on<T>(&self, database: &str, does: impl AsyncFnOnce(&PgPool) -> T) -> T {
        let database = PgPool::connect(&self.url(database)).await.unwrap();
        let done = does(&database).await;
        database.close().await;
        done
    }

    /// Sends on a copy of `database`, since a bench wants one without mailboxes, and returns the median of its settles, ms.
    async fn settle(&self, database: &str) -> f64 {
        self.copy(database, "tried").await;
        // Each bench begins at the same hour, at which caps that an earlier one has filled up to later grant nothing.
        let redis = PrivateRedis::temporary().await.unwrap();
        let url = self.url("tried");
        let (smtp, sends) = (format!("localhost:{}", self.sink.port()), SENDS.to_string());
        let asked =
            ["bench", "send", "--json", "--smtp", &smtp, "--security", "none", "--sends", &sends, "--given-servers"];
        let given = [("DATABASE_URL", url.as_str()), ("REDIS_URL", &redis.url())];
        let told = send::send_with(&asked.map(str::to_owned), &given).await;
        redis.stop().await;
        run(&self.main, "DROP DATABASE tried").await;
        let steps = told["steps"].as_array().unwrap();
        steps.iter().find(|step| step["step"] == "settle").unwrap()["p50Ms"].as_f64().unwrap()
    }
}

/// Has the daily duty take the oldest day away, and returns the seconds it took.
async fn drop_oldest(database: &PgPool) -> f64 {
    let duties = PostgresDuties::new(database.clone());
    let first = Utc::now().date_naive() - Days::new(u64::from(KEPT));
    let began = Instant::now();
    let retired = duties.prune(PruneTarget::Logs, first).await.unwrap();
    let took = began.elapsed().as_secs_f64();
    assert_eq!(retired.gone, 1);
    took
}

async fn run(database: &PgPool, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(database).await.unwrap();
}

/// Writes a large day for today, and another that is too old.
async fn fill(database: &PgPool) {
    const FILL: &str = "
        INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, worker_id,
                          latency_ms)
        SELECT nextval('flight_ids'), day + n * interval '20 ms', day, n * 7919 % 100000 + 1, n * 104729 % 100000 + 1,
               'box' || n * 7919 % 100000 || '@bench.test', 'box' || n * 104729 % 100000 || '@bench.test',
               'About the minutes of Monday', gen_random_uuid() || '@bench.test', 'SENT', 'earlier', 300
        FROM generate_series(1, $2) AS n, (SELECT current_date - $1 AS day) AS that";
    let oldest = i32::from(KEPT) + 1;
    let days = sqlx::query("SELECT ensure_log_partitions(current_date - $1, current_date)").bind(oldest);
    days.execute(database).await.unwrap();
    for age in [oldest, 0] {
        sqlx::query(FILL).bind(age).bind(ROWS).execute(database).await.unwrap();
    }
    run(database, "VACUUM ANALYZE").await;
    run(database, "CHECKPOINT").await;
}
