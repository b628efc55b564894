//! The daily duties on Postgres, among readers that stay for long.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{Days, NaiveDate};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use warmup::{
    adapters::postgres::{PostgresDuties, PostgresLedger},
    domain::{maintenance::PruneTarget, outcome::OutcomeKind},
    ports::{Ledger, MaintenanceStore, PortError, Reservation},
};
use warmup_support::{
    conformance::{
        duties::{DutiesWorld, Row},
        ledger::{DAY, LedgerWorld, Life, ask, end, enrol, noon},
    },
    world::{TestDatabase, postgres},
};

use crate::{gate::Gate, ledger::racing_world};

struct Record {
    database: TestDatabase,
    gate: Gate,
    duties: Arc<PostgresDuties>,
}

async fn world() -> Record {
    let database = postgres().await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let gate = Gate::before(options.get_port()).await;
    let through =
        PgPoolOptions::new().acquire_timeout(Duration::from_secs(2)).connect_lazy_with(options.port(gate.port()));
    Record { database, gate, duties: Arc::new(PostgresDuties::new(through)) }
}

/// Writes a row of $1, a date, at noon where an instant is asked for.
fn written(kept: PruneTarget) -> &'static str {
    match kept {
        PruneTarget::Logs => {
            "INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, worker_id)
             VALUES (1, now(), $1, 1, 2, '', '', '', '', 'SENT', '')"
        }
        PruneTarget::MailboxDays => "INSERT INTO mailbox_days (mailbox_id, day, quota, closed) VALUES (1, $1, 1, true)",
        PruneTarget::Events => "INSERT INTO events (at, kind, reason) VALUES ($1::timestamp AT TIME ZONE 'UTC' + interval '12 h', '', '')",
        PruneTarget::Replies => {
            "INSERT INTO scheduled_replies (id, mailbox_id, partner_id, due_at, until, message_id, subject, state, reason)
             SELECT count(*) + 1, 1, 2, $1::timestamp AT TIME ZONE 'UTC' + interval '12 h',
                    $1::timestamp AT TIME ZONE 'UTC' + interval '13 h', '', '', 'lapsed', 'late'
             FROM scheduled_replies"
        }
        PruneTarget::Batches => "INSERT INTO batches (worker_id, started_at) VALUES ('', $1::timestamp AT TIME ZONE 'UTC' + interval '12 h')",
        PruneTarget::Rosters => {
            "WITH head AS (INSERT INTO rosters (day, made_at) VALUES ($1, now()))
             INSERT INTO roster (day, position, mailbox_id, user_id, domain, quota) SELECT $1, n, n, 1, '', 1 FROM generate_series(0, 2) n"
        }
        PruneTarget::UserDays => "INSERT INTO user_days (user_id, day, reserved) VALUES (1, $1, 1)",
        PruneTarget::Pairs => "INSERT INTO pairs (day, mailbox_id, partner_id, round) VALUES ($1, 1, 2, 0)",
        PruneTarget::Pauses => {
            "INSERT INTO pauses (scope, key, reason, since, until)
             VALUES ('host', $1::text, '', '-infinity', $1::timestamp AT TIME ZONE 'UTC' + interval '12 h')"
        }
        PruneTarget::Cleanups => unreachable!("a case writes them by the port"),
    }
}

fn dates(kept: PruneTarget) -> &'static str {
    match kept {
        PruneTarget::Logs => "SELECT day FROM logs ORDER BY 1",
        PruneTarget::MailboxDays => "SELECT day FROM mailbox_days ORDER BY 1",
        PruneTarget::Events => "SELECT (at AT TIME ZONE 'UTC')::date FROM events ORDER BY 1",
        PruneTarget::Replies => "SELECT (due_at AT TIME ZONE 'UTC')::date FROM scheduled_replies ORDER BY 1",
        PruneTarget::Batches => "SELECT (started_at AT TIME ZONE 'UTC')::date FROM batches ORDER BY 1",
        PruneTarget::Rosters => {
            "SELECT day FROM rosters JOIN roster USING (day) GROUP BY day HAVING count(*) = 3 ORDER BY 1"
        }
        PruneTarget::UserDays => "SELECT day FROM user_days ORDER BY 1",
        PruneTarget::Pairs => "SELECT day FROM pairs ORDER BY 1",
        PruneTarget::Pauses => "SELECT (until AT TIME ZONE 'UTC')::date FROM pauses ORDER BY 1",
        PruneTarget::Cleanups => "SELECT day FROM cleanups ORDER BY 1",
    }
}

#[async_trait]
impl DutiesWorld for Record {
    fn duties(&self) -> Arc<dyn MaintenanceStore> {
        self.duties.clone()
    }

    async fn write(&self, kept: PruneTarget, day: NaiveDate) {
        if kept == PruneTarget::Logs {
            partitions(self.database.pool(), day, day).await;
        }
        sqlx::query(written(kept)).bind(day).execute(self.database.pool()).await.unwrap();
    }

    async fn write_open_day(&self, day: NaiveDate) {
        const OPEN: &str = "INSERT INTO mailbox_days (mailbox_id, day, quota) VALUES (1, $1, 1)";
        sqlx::query(OPEN).bind(day).execute(self.database.pool()).await.unwrap();
    }

    async fn write_flying_day(&self, day: NaiveDate) {
        self.write(PruneTarget::MailboxDays, day).await;
        const FLIGHT: &str = "
            INSERT INTO in_flight (mailbox_id, partner_id, user_id, day, round, shard, epoch, worker_id, run, batch_id,
                                   message_id, subject, sender, recipient, limited)
            VALUES (1, 2, 1, $1, 0, 0, 0, '', gen_random_uuid(), 1, '', '', '', '', false)";
        sqlx::query(FLIGHT).bind(day).execute(self.database.pool()).await.unwrap();
    }

    async fn left(&self, kept: PruneTarget) -> Vec<NaiveDate> {
        sqlx::query_scalar(dates(kept)).fetch_all(self.database.pool()).await.unwrap()
    }

    async fn rows(&self) -> Vec<Row> {
        const ROWS: &str = "SELECT day, covered_by, attempts, finished_at IS NOT NULL FROM cleanups ORDER BY day";
        let rows: Vec<(NaiveDate, Option<NaiveDate>, i32, bool)> =
            sqlx::query_as(ROWS).fetch_all(self.database.pool()).await.unwrap();
        let row = |(day, covered_by, attempts, finished): (_, _, i32, _)| Row {
            day,
            covered_by,
            attempts: attempts.unsigned_abs(),
            finished,
        };
        rows.into_iter().map(row).collect()
    }

    async fn go_away(&self) {
        self.gate.shut();
    }
}

warmup_support::duties_conformance!(world);

async fn partitions(pool: &PgPool, first: NaiveDate, last: NaiveDate) -> i32 {
    sqlx::query_scalar("SELECT ensure_log_partitions($1, $2)").bind(first).bind(last).fetch_one(pool).await.unwrap()
}

async fn run(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

/// (name, whether a detachment is pending) of the log's partitions before today.
async fn old_partitions(pool: &PgPool) -> Vec<(String, bool)> {
    const OLD: &str = "
        SELECT c.relname::text, i.inhdetachpending FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'logs'::regclass AND c.relname < 'logs_20261120' AND c.relkind = 'r' ORDER BY 1";
    sqlx::query_as(OLD).fetch_all(pool).await.unwrap()
}

async fn tables(pool: &PgPool) -> Vec<String> {
    const TABLES: &str =
        "SELECT relname::text FROM pg_class WHERE relname < 'logs_20261120' AND relname ~ '^logs_[0-9]+$' ORDER BY 1";
    sqlx::query_scalar(TABLES).fetch_all(pool).await.unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Retires until nothing is left.
async fn retire_logs(duties: &PostgresDuties, before: NaiveDate) -> Result<u64, PortError> {
    let mut gone = 0;
    loop {
        let retired = duties.prune(PruneTarget::Logs, before).await?;
        gone += retired.gone;
        if !retired.more {
            return Ok(gone);
        }
    }
}

/// Somebody reads the log and goes for a coffee in the middle.
async fn reader<'a>(connection: &'a mut PgConnection) -> sqlx::Transaction<'a, sqlx::Postgres> {
    let mut transaction = connection.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM logs").fetch_one(&mut *transaction).await.unwrap();
    transaction
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_a_readers_transaction_open_no_settle_fails_or_waits() {
    let world = racing_world().await;
    enrol(&world, 40, 30).await;
    let life = Life::begin(&world).await;
    partitions(world.pool(), day("2026-08-01"), day("2026-08-03")).await;
    let mut connection = PgConnection::connect(world.database.url()).await.unwrap();
    let reading = reader(&mut connection).await;

    // Impatient: a settle that waited for somebody's lock would fail.
    let options: PgConnectOptions = world.database.url().parse().unwrap();
    let impatient = PgPoolOptions::new().connect_lazy_with(options.options([("lock_timeout", "500ms")]));
    let ledger = PostgresLedger::new(impatient, 1.5);
    let duties = Arc::new(PostgresDuties::new(world.pool().clone()));
    let chores = tokio::spawn({
        let (duties, ledger, pool) = (duties.clone(), world.ledger(), world.pool().clone());
        async move {
            // The day turns: new partitions ahead, old ones to go, again and again.
            for days in 1..=3 {
                ledger.prepare(noon() + Days::new(days)).await.unwrap();
                let blocked = retire_logs(&duties, day("2026-08-27")).await;
                assert!(matches!(blocked, Err(PortError::Unavailable(_))), "{blocked:?}");
            }
            old_partitions(&pool).await
        }
    });
    let (mut asked_for, mut settled) = (0, 0);
    while !chores.is_finished() && asked_for < 400 {
        let (mailbox, attempts) = (asked_for % 20 + 1, asked_for / 20);
        asked_for += 1;
        let asked = ask(mailbox, attempts as u16, &[21 + (mailbox + attempts) % 20]);
        let now = noon() + chrono::TimeDelta::hours(attempts);
        if let Reservation::Reserved(flight) = ledger.reserve(&life.batch_at(now, vec![asked])).await.unwrap().remove(0)
        {
            assert_eq!(ledger.settle(&life.worker, &[end(&flight, OutcomeKind::Sent)]).await.unwrap(), 1);
            settled += 1;
        }
    }
    let left = chores.await.unwrap();
    assert!(settled >= 100, "{settled} settles went on beside the reader");
    assert_eq!(left[0], ("logs_20260801".to_owned(), true), "{left:?}");
    assert_eq!(left.len(), 3);

    // The reader is done: what is pending goes first, and the rest with it.
    reading.rollback().await.unwrap();
    assert_eq!(retire_logs(&duties, day("2026-08-27")).await.unwrap(), 3);
    assert!(tables(world.pool()).await.is_empty());
    let ahead: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = 'logs'::regclass")
        .fetch_one(world.pool())
        .await
        .unwrap();
    assert_eq!(ahead, 3 + 1 + 14 + 3, "three days behind noon, fourteen ahead of the last, no others");
}

#[tokio::test]
async fn partitions_are_made_while_somebody_reads() {
    let database = postgres().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let reading = reader(&mut connection).await;
    assert_eq!(partitions(database.pool(), day("2030-01-01"), day("2030-01-03")).await, 3);
    assert_eq!(partitions(database.pool(), day("2030-01-01"), day("2030-01-03")).await, 0);
    reading.rollback().await.unwrap();
    // They are what CREATE ... PARTITION OF would have made: the rules of the log, its key and its indexes.
    let wrong = "INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, worker_id) \
                 VALUES (1, now(), '2030-01-02', 1, 2, '', '', '', '', 'sent', '')";
    assert!(sqlx::query(wrong).execute(database.pool()).await.unwrap_err().to_string().contains("check constraint"));
    let (those, all): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM pg_index x JOIN pg_inherits i ON i.inhrelid = x.indexrelid
                 WHERE x.indrelid = 'logs_20300102'::regclass),
                (SELECT count(*) FROM pg_index WHERE indrelid = 'logs'::regclass)",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert!(those == all && all >= 2, "{those} of {all}");
}

#[tokio::test]
async fn a_partition_that_was_left_in_the_middle_goes_at_the_next_attempt() {
    let database = postgres().await;
    let (pool, duties) = (database.pool(), PostgresDuties::new(database.pool().clone()));
    partitions(pool, day("2026-08-01"), day("2026-08-04")).await;
    // Killed after the DETACH, before the DROP.
    run(pool, "ALTER TABLE logs DETACH PARTITION logs_20260802").await;
    // Killed in the middle of the DETACH.
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let reading = reader(&mut connection).await;
    let mut killed = PgConnection::connect(database.url()).await.unwrap();
    sqlx::raw_sql("SET lock_timeout = '50ms'").execute(&mut killed).await.unwrap();
    let cut = sqlx::raw_sql("ALTER TABLE logs DETACH PARTITION logs_20260803 CONCURRENTLY").execute(&mut killed).await;
    assert!(cut.is_err());
    reading.rollback().await.unwrap();
    assert_eq!(
        old_partitions(pool).await,
        [("logs_20260801".into(), false), ("logs_20260803".into(), true), ("logs_20260804".into(), false)]
    );
    assert_eq!(retire_logs(&duties, day("2026-08-04")).await.unwrap(), 3);
    assert_eq!(tables(pool).await, ["logs_20260804"]);
}

#[tokio::test]
async fn two_leaders_at_once_take_away_what_is_old_and_nothing_else() {
    let database = postgres().await;
    partitions(database.pool(), day("2026-08-01"), day("2026-08-12")).await;
    let retiring = || {
        let duties = PostgresDuties::new(database.pool().clone());
        tokio::spawn(async move {
            let mut failed = 0;
            // Each other's detachments are in the way, for a moment.
            while let Err(error) = retire_logs(&duties, day("2026-08-10")).await {
                failed += 1;
                assert!(failed < 200, "{error}");
            }
        })
    };
    let (one, other) = (retiring(), retiring());
    one.await.unwrap();
    other.await.unwrap();
    assert_eq!(tables(database.pool()).await, ["logs_20260810", "logs_20260811", "logs_20260812"]);
}

#[tokio::test]
async fn a_table_that_only_sounds_like_a_day_of_the_log_stays() {
    let database = postgres().await;
    run(database.pool(), "CREATE TABLE logs_20200101 (note text); CREATE TABLE logs_2020 (day date)").await;
    let duties = PostgresDuties::new(database.pool().clone());
    assert_eq!(retire_logs(&duties, DAY).await.unwrap(), 0);
    assert_eq!(tables(database.pool()).await, ["logs_2020", "logs_20200101"]);
}

#[tokio::test]
async fn more_than_a_step_goes_in_several() {
    let database = postgres().await;
    run(
        database.pool(),
        "INSERT INTO pairs SELECT '2026-08-01', n, n + 1, 0 FROM generate_series(1, 25000) n; \
         INSERT INTO roster (day, position, mailbox_id, user_id, domain, quota) \
         SELECT '2026-08-01', n, n, 1, '', 1 FROM generate_series(1, 10000) n; \
         INSERT INTO rosters VALUES ('2026-08-01', now())",
    )
    .await;
    let duties = PostgresDuties::new(database.pool().clone());
    for (kept, steps) in [(PruneTarget::Pairs, vec![10_000, 10_000, 5_000]), (PruneTarget::Rosters, vec![10_000, 1])] {
        let mut gone = Vec::new();
        loop {
            let retired = duties.prune(kept, DAY).await.unwrap();
            gone.push(retired.gone);
            if !retired.more {
                break;
            }
        }
        assert_eq!(gone, steps, "{kept:?}");
    }
}
