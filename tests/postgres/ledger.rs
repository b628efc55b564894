//! The ledger's conformance suite on Postgres.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::NaiveDate;
use sqlx::{
    AssertSqlSafe, PgPool, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use warmup::{
    adapters::postgres::{
        PostgresLedger, PostgresMailboxes,
        mailbox_state::{Change, change},
    },
    domain::{
        id::{MailboxId, RunId, WorkerId},
        ramp::Ramp,
    },
    ports::{Ledger, PlanningStore, ReserveBatch},
};
use warmup_support::{
    conformance::ledger::{DayCounts, LedgerWorld, LogLine, ReplyLine, Standing, noon},
    world::{TestDatabase, postgres},
};

use crate::gate::Gate;

pub struct PostgresWorld {
    pub database: TestDatabase,
    gate: Gate,
    ledger: Arc<PostgresLedger>,
}

async fn world() -> PostgresWorld {
    world_over(postgres().await).await
}

/// A world over a database that is migrated.
pub async fn world_over(database: TestDatabase) -> PostgresWorld {
    sqlx::query("INSERT INTO shards (shard) SELECT generate_series(0, 15) ON CONFLICT DO NOTHING")
        .execute(database.pool())
        .await
        .unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let gate = Gate::before(options.get_port()).await;
    // One connection, so that what was prepared once is prepared for the next statement.
    let through = PgPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(2))
        .connect_lazy_with(options.port(gate.port()));
    let ledger = Arc::new(PostgresLedger::new(through, 1.5));
    PostgresWorld { database, gate, ledger }
}

/// The same ledger for racing callers: many connections.
pub async fn racing_world() -> PostgresWorld {
    let mut world = world().await;
    world.ledger = Arc::new(PostgresLedger::new(world.database.pool().clone(), 1.5));
    world
}

/// The tables that a reserve or its end writes.
const SET_BACK: [&str; 10] = [
    "shards",
    "in_flight",
    "logs",
    "mailbox_days",
    "pairs",
    "scheduled_replies",
    "user_days",
    "received_days",
    "batches",
    "late_mails",
];

impl PostgresWorld {
    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    async fn raw(&self, statement: String) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(self.pool()).await.unwrap();
    }

    async fn run(&self, statement: &'static str, mailbox: i64, value: i64) {
        sqlx::query(statement).bind(mailbox).bind(value).execute(self.pool()).await.unwrap();
    }
}

#[async_trait]
impl LedgerWorld for PostgresWorld {
    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }

    fn mailboxes(&self) -> Arc<dyn PlanningStore> {
        Arc::new(PostgresMailboxes::new(self.pool().clone()))
    }

    async fn enrol(&self, id: i64, user: i64, quota: u16, domain: &str, weekdays: u8) {
        sqlx::query(
            "INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES ($1, 'u' || $1) ON CONFLICT DO NOTHING",
        )
        .bind(user)
        .execute(self.pool())
        .await
        .unwrap();
        const ENROL: &str = "
            INSERT INTO mailboxes (id, user_id, email, domain, username, sealed_password, smtp_host, smtp_port,
                                   smtp_security, timezone, window_start, window_end, days, ramp_start, ramp_step,
                                   daily_max, reply_rate, shard, verified_by)
            VALUES ($1, $2, 'box' || $1 || '@' || $3, $3, 'box', 'sealed', 'mail.test', 465, 'tls', 'UTC', 0, 1440, $5,
                    $4, 0, $4, 0, 0, 'admin')";
        sqlx::query(ENROL)
            .bind(id)
            .bind(user)
            .bind(domain)
            .bind(quota as i16)
            .bind(i16::from(weekdays))
            .execute(self.pool())
            .await
            .unwrap();
    }

    async fn limit(&self, user: i64, limit: u32) {
        self.run("UPDATE users SET daily_limit = $2::int WHERE id = $1", user, i64::from(limit)).await;
    }

    async fn order(&self, running: bool) {
        sqlx::query("UPDATE fleet_orders SET running = $1").bind(running).execute(self.pool()).await.unwrap();
    }

    async fn pause(&self, mailbox: i64) {
        const PAUSE: &str =
            "UPDATE mailboxes SET state = 'paused', reason = 'operator', paused_until = NULL WHERE id = $1 AND $2 = 0";
        self.run(PAUSE, mailbox, 0).await;
    }

    async fn set_quota(&self, mailbox: i64, quota: u16) {
        const SET: &str = "UPDATE mailboxes SET ramp_start = $2::int, daily_max = $2::int WHERE id = $1";
        self.run(SET, mailbox, i64::from(quota)).await;
    }

    async fn set_ramp(&self, mailbox: i64, ramp: Ramp, grown: u16) {
        sqlx::query("UPDATE mailboxes SET ramp_start = $2, ramp_step = $3, daily_max = $4, grown = $5 WHERE id = $1")
            .bind(mailbox)
            .bind(ramp.start as i16)
            .bind(ramp.step as i16)
            .bind(ramp.daily_max as i16)
            .bind(grown as i16)
            .execute(self.pool())
            .await
            .unwrap();
    }

    async fn backup(&self) {
        for table in SET_BACK {
            self.raw(format!("CREATE TABLE backup_{table} AS TABLE {table}")).await;
        }
        self.raw("CREATE TABLE backup_ids AS SELECT last_value, is_called FROM flight_ids".into()).await;
    }

    async fn restore(&self) {
        for table in SET_BACK {
            self.raw(format!("DELETE FROM {table}")).await;
            self.raw(format!("INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE backup_{table}")).await;
        }
        self.raw("SELECT setval('flight_ids', last_value, is_called) FROM backup_ids".into()).await;
    }

    async fn age(&self, by: Duration) {
        const AGE: &str = "UPDATE in_flight SET reserved_at = reserved_at - make_interval(secs => $1)";
        sqlx::query(AGE).bind(by.as_secs_f64()).execute(self.pool()).await.unwrap();
    }

    async fn day(&self, mailbox: i64, day: NaiveDate) -> DayCounts {
        let row = sqlx::query("SELECT * FROM mailbox_days WHERE mailbox_id = $1 AND day = $2")
            .bind(mailbox)
            .bind(day)
            .fetch_optional(self.pool())
            .await
            .unwrap();
        let Some(row) = row else { return DayCounts::default() };
        let count = |column: &str| i64::from(row.get::<i16, _>(column));
        DayCounts {
            quota: count("quota"),
            reserved: count("reserved"),
            sent: count("sent"),
            failed: count("failed"),
            uncertain: count("uncertain"),
            attempts: count("attempts"),
            replied: count("replied"),
            reply_attempts: count("reply_attempts"),
            closed: row.get("closed"),
            late: row.get::<Option<String>, _>("reason").as_deref() == Some("late"),
        }
    }

    async fn grown(&self, mailbox: i64) -> i64 {
        sqlx::query_scalar("SELECT grown::bigint FROM mailboxes WHERE id = $1")
            .bind(mailbox)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    async fn logs(&self) -> Vec<LogLine> {
        let rows = sqlx::query("SELECT id, mailbox_id, partner_id, status, reason, answers FROM logs ORDER BY id")
            .fetch_all(self.pool())
            .await
            .unwrap();
        let line = |row: &sqlx::postgres::PgRow| LogLine {
            flight: row.get(0),
            mailbox: row.get(1),
            partner: row.get(2),
            status: row.get(3),
            reason: row.get(4),
            answers: row.get(5),
        };
        rows.iter().map(line).collect()
    }

    async fn replies(&self) -> Vec<ReplyLine> {
        let rows: Vec<(i64, String, Option<String>)> =
            sqlx::query_as("SELECT id, state, reason FROM scheduled_replies ORDER BY id")
                .fetch_all(self.pool())
                .await
                .unwrap();
        rows.into_iter().map(|(id, state, reason)| ReplyLine { id, state, reason }).collect()
    }

    async fn pairs(&self) -> Vec<(i64, i64, i64)> {
        sqlx::query_as("SELECT mailbox_id, partner_id, round::bigint FROM pairs ORDER BY 1, 2, 3")
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    async fn in_flight(&self) -> usize {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM in_flight").fetch_one(self.pool()).await.unwrap();
        count as usize
    }

    async fn standing(&self, mailbox: i64) -> Standing {
        const READ: &str = "
            SELECT CASE WHEN state = 'disabled' OR (state = 'paused' AND paused_until IS NULL) THEN 'stopped'
                        ELSE state END, reason, receives, receive_reason
            FROM mailboxes WHERE id = $1";
        let row = sqlx::query(READ).bind(mailbox).fetch_one(self.pool()).await.unwrap();
        Standing { sending: row.get(0), sending_reason: row.get(1), receives: row.get(2), receive_reason: row.get(3) }
    }

    async fn events(&self) -> Vec<(String, Option<i64>, String)> {
        sqlx::query_as("SELECT kind, mailbox_id, reason FROM events ORDER BY id").fetch_all(self.pool()).await.unwrap()
    }

    async fn batch(&self, batch: i64) -> (i64, i64, i64, i64, i64, bool) {
        const READ: &str = "
            SELECT processed::bigint, sent::bigint, failed::bigint, uncertain::bigint, released::bigint,
                   finished_at IS NOT NULL
            FROM batches WHERE id = $1";
        sqlx::query_as(READ).bind(batch).fetch_one(self.pool()).await.unwrap()
    }

    async fn set_verified(&self, mailbox: i64, is_verified: bool) {
        const SET: &str = "UPDATE mailboxes SET verified_by = CASE WHEN $2 THEN 'admin' END WHERE id = $1";
        sqlx::query(SET).bind(mailbox).bind(is_verified).execute(self.pool()).await.unwrap();
    }

    async fn set_host(&self, mailbox: i64, host: &str) {
        const SET: &str = "UPDATE mailboxes SET smtp_host = $2 WHERE id = $1";
        sqlx::query(SET).bind(mailbox).bind(host).execute(self.pool()).await.unwrap();
    }

    async fn set_starttls(&self, mailbox: i64, port: u16) {
        const SET: &str = "UPDATE mailboxes SET smtp_port = $2::int, smtp_security = 'starttls' WHERE id = $1";
        self.run(SET, mailbox, i64::from(port)).await;
    }

    async fn resume(&self, mailbox: i64) {
        let mut connection = self.pool().acquire().await.unwrap();
        change(&mut connection, Change::Resume, &[MailboxId(mailbox)], "operator", noon()).await.unwrap();
    }

    async fn resume_host(&self, host: &str) {
        const RESUME: &str = "
            WITH forgotten AS (DELETE FROM pauses WHERE split_part(regexp_replace(key, '^[0-9]+/', ''), ':', 1) = lower($1))
            UPDATE mailboxes SET state = 'active', reason = NULL, paused_until = NULL, refusals = 0
            WHERE lower(smtp_host) = lower($1)";
        sqlx::query(RESUME).bind(host).execute(self.pool()).await.unwrap();
    }

    async fn go_away(&self) {
        self.gate.shut();
        // The connection that was open finds out.
        let _ = self.ledger.prepare(noon()).await;
    }

    async fn lose_next_request(&self) {
        self.warm().await;
        self.gate.swallow_next_request();
    }

    async fn lose_next_answer(&self) {
        self.warm().await;
        self.gate.swallow_next_answer();
    }
}

impl PostgresWorld {
    /// Lets the connection know the statement, so that the next thing it sends is the statement itself.
    async fn warm(&self) {
        let nothing = ReserveBatch {
            worker: WorkerId("conformance".into()),
            run: RunId(uuid::Uuid::now_v7()),
            epochs: vec![],
            now: noon(),
            asks: vec![],
        };
        self.ledger.reserve(&nothing).await.unwrap();
    }
}

warmup_support::ledger_conformance!(world);

/// What only many connections show.
mod with_many_connections {

    warmup_support::conformance_cases!(warmup_support::conformance::ledger::racing, super::racing_world,
        one_of_many_racers_gets_the_last_place
        racers_on_overlapping_batches_pass_no_quota
        racing_raises_have_one_winner
        racing_ends_of_one_flight_write_one_row
    );

    warmup_support::conformance_cases!(
        warmup_support::conformance::ledger::replies,
        super::racing_world,
        one_of_many_racers_claims_a_thread
    );

    warmup_support::conformance_cases!(
        warmup_support::conformance::ledger::standing,
        super::racing_world,
        racing_settles_of_a_wave_disable_four
    );
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_is_unavailable_or_slow_and_nothing_happened() {
    use warmup_support::conformance::ledger::{Life, ask, enrol};

    let world = world().await;
    enrol(&world, 2, 5).await;
    let life = Life::begin(&world).await;
    let mut holder = world.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM mailbox_days FOR UPDATE").fetch_all(&mut *holder).await.unwrap();
    for (limit, kind) in [("lock_timeout", "unavailable"), ("statement_timeout", "slow")] {
        let options: PgConnectOptions = world.database.url().parse().unwrap();
        let impatient = PgPoolOptions::new().connect_lazy_with(options.options([(limit, "200ms")]));
        let ledger = PostgresLedger::new(impatient, 1.0);
        let answer = ledger.reserve(&life.batch(vec![ask(1, 0, &[2])])).await;
        assert_eq!(answer.map(drop).map_err(|error| error.kind()), Err(kind), "{limit}");
    }
    holder.rollback().await.unwrap();
    assert_eq!((world.in_flight().await, world.pairs().await.len()), (0, 0));
}

/// As Postgres itself counts them: one statement, without BEGIN and COMMIT around it.
#[tokio::test]
async fn a_reserve_and_a_settle_are_one_statement_each() {
    use warmup::domain::outcome::OutcomeKind;
    use warmup_support::conformance::ledger::{Life, ask, end, enrol};

    let world = world().await;
    sqlx::query("CREATE EXTENSION pg_stat_statements").execute(world.pool()).await.unwrap();
    enrol(&world, 5, 5).await;
    let life = Life::begin(&world).await;
    const COUNT: &str = "
        SELECT COALESCE(sum(s.calls), 0)::bigint FROM pg_stat_statements s
        JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
        WHERE s.query NOT LIKE '%pg_stat_statements%' AND s.toplevel";
    let before: i64 = sqlx::query_scalar(COUNT).fetch_one(world.pool()).await.unwrap();
    let answers = life.reserve((1..=4).map(|mailbox| ask(mailbox, 0, &[5])).collect()).await;
    let reserved: i64 = sqlx::query_scalar(COUNT).fetch_one(world.pool()).await.unwrap();
    let ends: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            warmup::ports::Reservation::Reserved(flight) => Some(end(flight, OutcomeKind::Sent)),
            warmup::ports::Reservation::Refused(_) => None,
        })
        .collect();
    life.settle(&ends).await;
    let settled: i64 = sqlx::query_scalar(COUNT).fetch_one(world.pool()).await.unwrap();
    assert_eq!((reserved - before, settled - reserved, ends.len()), (1, 1, 4));
}
