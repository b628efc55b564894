//! A large fleet in a database that Postgres knows nothing of yet: an import is followed by a tick within the second, and by
//! autovacuum within the minute. Whatever the planner believes meanwhile, each statement reads a mailbox a few times, and
//! not once for each other mailbox. Postgres counts the rows that it reads; no clock is asked.

use std::time::Duration;

use chrono::{DateTime, Days, TimeDelta, Utc};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use warmup::{
    adapters::postgres::PostgresMailboxes,
    domain::{id::ShardId, time::LocalDates},
    ports::PlanningStore,
    reporting::sql::{self, IfBusy},
};
use warmup_support::{
    conformance::ledger::{DAY, noon},
    world::{TestDatabase, postgres},
};

use crate::sessions::end_all_but;

/// Rows that a statement may read for each mailbox. A join of two lists is read twice or three times.
const READ: i64 = 12;

/// The same where days close and open in groups: while the table of days is small, each group may read all of it twice.
const TURNED: i64 = 150;

/// Ends a statement that reads the fleet once for each mailbox, before it takes an hour.
const STATEMENT_TIMEOUT: &str = "60s";

#[tokio::test]
async fn a_fleet_that_was_never_analysed_is_read_a_few_times_and_not_once_for_each_mailbox() {
    let fleet = Fleet::enrolled(100_000, "").await;
    fleet.lives().await;
    let analysed: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_user_tables WHERE last_analyze IS NOT NULL")
        .fetch_one(&mut fleet.asking().await)
        .await
        .unwrap();
    assert_eq!(analysed, 0, "the planner knew nothing");
}

/// Two mailboxes were enrolled to try it out, each worked for a few days, and then came the others.
#[tokio::test]
async fn what_postgres_knows_of_a_small_fleet_does_not_mislead_it_about_a_large_one() {
    const SMALL: &str = "
        INSERT INTO mailbox_days (mailbox_id, day, quota, closed)
        SELECT id, day, 30, true FROM mailboxes, generate_series('2026-11-14', '2026-11-23', interval '1 day') AS day
        WHERE id <= 2;
        ANALYZE";
    Fleet::enrolled(20_000, SMALL).await.lives().await;
}

struct Fleet {
    database: TestDatabase,
    mailboxes: i64,
}

impl Fleet {
    /// Enrols two mailboxes, runs `meanwhile`, and enrols the others. Every second one has an owner of its own.
    async fn enrolled(mailboxes: i64, meanwhile: &'static str) -> Fleet {
        let database = postgres().await;
        const NO_AUTOVACUUM: &str = "
            DO $$ DECLARE one regclass; BEGIN
                FOR one IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', one); END LOOP;
            END $$";
        const ENROL: &str = "
            INSERT INTO mailboxes (id, user_id, email, domain, username, sealed_password, smtp_host, smtp_port,
                                   smtp_security, timezone, window_start, window_end, days, ramp_start, ramp_step,
                                   daily_max, reply_rate, shard, verified_by)
            SELECT id, id / 2 + 1, 'box' || id || '@d.test', 'd' || id % 200 || '.test', 'box', 'sealed',
                   'mail' || id % 200 || '.test', 465, 'tls',
                   (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Africa/Nairobi'])[id % 4 + 1], 0, 1440, 127,
                   3, 3, 30, 35, id % 256, 'admin'
            FROM generate_series($1, $2) AS id";
        let pool = database.pool();
        sqlx::raw_sql(NO_AUTOVACUUM).execute(pool).await.unwrap();
        const OWNERS: &str =
            "INSERT INTO users (email) SELECT 'u' || id || '@x.test' FROM generate_series(2, $1) AS id";
        sqlx::query(OWNERS).bind(mailboxes / 2 + 1).execute(pool).await.unwrap();
        sqlx::query(ENROL).bind(1_i64).bind(2_i64).execute(pool).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(meanwhile)).execute(pool).await.unwrap();
        sqlx::query(ENROL).bind(3_i64).bind(mailboxes).execute(pool).await.unwrap();
        pool.close().await;
        Fleet { database, mailboxes }
    }

    /// The first day and the turn to the next one, as a worker and a pod live them.
    async fn lives(&self) {
        let (today, tomorrow) = (noon(), noon() + Days::new(1));
        self.turns("the first day opens", today).await;
        self.plans(today).await;
        self.reads("census", READ, async |pool| {
            sql::refresh(&pool, today, TimeDelta::minutes(10), IfBusy::Wait).await.unwrap()
        })
        .await;
        self.reads("next census", READ, async |pool| {
            sql::refresh(&pool, today, TimeDelta::minutes(10), IfBusy::Wait).await.unwrap()
        })
        .await;
        self.reads("directory", READ, async |pool| drop(sql::directory(&pool).await.unwrap())).await;
        self.turns("the next day", tomorrow).await;
        self.plans(tomorrow).await;
    }

    async fn turns(&self, what: &str, now: DateTime<Utc>) {
        let turned = async |pool| {
            let mailboxes = PostgresMailboxes::new(pool);
            mailboxes.roll_over_days(&shards(), &LocalDates::at(now), now).await.unwrap();
        };
        self.reads(what, TURNED, turned).await;
        const OPEN: &str = "SELECT count(*) FROM mailbox_days WHERE NOT closed";
        let open: i64 = sqlx::query_scalar(OPEN).fetch_one(&mut self.asking().await).await.unwrap();
        assert_eq!(open, self.mailboxes, "{what}");
    }

    async fn plans(&self, now: DateTime<Utc>) {
        let all = usize::try_from(self.mailboxes).unwrap();
        let candidates = async |pool| {
            let candidates =
                PostgresMailboxes::new(pool).candidates(&shards(), &LocalDates::at(now), now).await.unwrap();
            assert_eq!(candidates.len(), all);
        };
        self.reads("candidates", READ, candidates).await;
        self.joins_in_one_pass(now).await;
        let replies = async |pool: PgPool| {
            sqlx::query(REPLIES).bind(now).execute(&pool).await.unwrap();
            let before = now + TimeDelta::minutes(15);
            let due = PostgresMailboxes::new(pool).due_replies(&shards(), now, before).await.unwrap();
            assert_eq!(due.len(), all / 10);
        };
        self.reads("replies", READ, replies).await;
        let roster = async |pool| {
            let roster = PostgresMailboxes::new(pool).roster(DAY, now, None).await.unwrap().unwrap();
            assert_eq!(roster.members.len(), all);
        };
        self.reads("roster", READ, roster).await;
        let remade = async |pool: PgPool| {
            let turn = async || {
                const TURN: &str = "UPDATE mailboxes SET enabled = NOT enabled WHERE id % 10 = 5";
                sqlx::query(TURN).execute(&pool).await.unwrap();
            };
            turn().await;
            let roster = PostgresMailboxes::new(pool.clone()).roster(DAY, now, Some(0)).await.unwrap().unwrap();
            assert_eq!(roster.members.len(), all - all / 10);
            turn().await;
        };
        self.reads("remade roster", READ, remade).await;
    }

    /// What is read once and joined in memory once for each mailbox is not counted as rows that are read: the plan shows it. A
    /// worker of several holds other shards than those that Postgres knows of.
    async fn joins_in_one_pass(&self, now: DateTime<Utc>) {
        let todays = LocalDates::at(now);
        for shards in [0..256, 128..256] {
            let shards: Vec<i32> = shards.collect();
            let unturned = concat!("EXPLAIN ", include_str!("../../src/adapters/postgres/sql/unturned.sql"));
            let unturned = sqlx::query_scalar(unturned).bind(shards.clone()).bind(&todays.zones).bind(&todays.days);
            let candidates = concat!("EXPLAIN ", include_str!("../../src/adapters/postgres/sql/candidates.sql"));
            let candidates = sqlx::query_scalar(candidates).bind(shards).bind(&todays.zones).bind(&todays.days);
            for statement in [unturned, candidates.bind(now).bind(todays.dates())] {
                let plan: Vec<String> = statement.fetch_all(&mut self.asking().await).await.unwrap();
                assert!(!plan.iter().any(|line| line.contains("Nested Loop")), "{plan:#?}");
            }
        }
    }

    /// Runs something and sees how many rows Postgres read for it.
    async fn reads(&self, what: &str, most: i64, run: impl AsyncFnOnce(PgPool)) {
        const COUNT: &str = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables";
        let mut asking = self.asking().await;
        let before: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut asking).await.unwrap();
        let pool = self.pool();
        run(pool.clone()).await;
        end_all_but(&mut asking, &pool).await;
        let read = sqlx::query_scalar::<_, i64>(COUNT).fetch_one(&mut asking).await.unwrap() - before;
        println!("{what}: {:.1} rows a mailbox", read as f64 / self.mailboxes as f64);
        assert!(read <= most * self.mailboxes, "{what} reads {read} rows for {} mailboxes", self.mailboxes);
    }

    fn pool(&self) -> PgPool {
        let options: PgConnectOptions = self.database.url().parse().unwrap();
        let options = options.options([("statement_timeout", STATEMENT_TIMEOUT), ("jit", "off"), ("work_mem", "64MB")]);
        PgPoolOptions::new().acquire_timeout(Duration::from_secs(10)).connect_lazy_with(options)
    }

    async fn asking(&self) -> PgConnection {
        PgConnection::connect(self.database.url()).await.unwrap()
    }
}

/// A tenth of the mailboxes owe an answer that is due.
const REPLIES: &str = "
    INSERT INTO scheduled_replies (id, mailbox_id, partner_id, due_at, until, message_id, subject)
    SELECT id, id, id + 1, $1, $1 + interval '1 hour', 'mail', 'subject' FROM mailboxes WHERE id % 10 = 0
    ON CONFLICT (id) DO UPDATE SET due_at = EXCLUDED.due_at, until = EXCLUDED.until";

fn shards() -> Vec<ShardId> {
    (0..256).map(ShardId).collect()
}
