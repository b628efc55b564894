//! The maintenance jobs beside 90 days of rows: a job reads what it deletes, and not what it keeps.

use chrono::{Days, NaiveDate};
use sqlx::{Connection, PgConnection, postgres::PgPoolOptions};
use warmup::{
    adapters::postgres::PostgresDuties,
    domain::maintenance::{PruneTarget, Retention},
    ports::MaintenanceStore,
};
use warmup_support::{
    conformance::ledger::{DAY, noon},
    world::{TestDatabase, postgres},
};

use crate::sessions::end_all_but;

/// Rows that a job may read for each row that it deletes: once to find and lock it, once to delete it, and its neighbours.
const READ: i64 = 4;

/// Rows that a job may read besides: what is looked at to see that nothing more is old.
const BESIDES: i64 = 1_000;

#[tokio::test]
async fn a_maintenance_job_reads_what_it_deletes_and_not_what_it_keeps() {
    let database = postgres().await;
    sqlx::raw_sql(FILL).execute(database.pool()).await.unwrap();
    database.pool().close().await;
    let mut asking = PgConnection::connect(database.url()).await.unwrap();
    for analysed in [false, true] {
        let day = DAY + Days::new(u64::from(analysed));
        if analysed {
            sqlx::query("ANALYZE").execute(&mut asking).await.unwrap();
        }
        for (kept, rows) in [
            (PruneTarget::MailboxDays, 2_000),
            (PruneTarget::Events, 2_000),
            (PruneTarget::Replies, 4_000),
            (PruneTarget::Batches, 2_000),
            (PruneTarget::Rosters, 2_001),
            (PruneTarget::UserDays, 2_000),
            (PruneTarget::Pairs, 40_000),
        ] {
            let before = Retention { log_days: 90, metrics_days: 30 }.keep_from(kept, day, noon() + Days::new(9));
            let (gone, read) = retire(&database, &mut asking, kept, before).await;
            println!("{kept:?} {before} analysed {analysed}: {gone} rows deleted, {read} read");
            assert_eq!(gone, rows, "{kept:?}: the rows of one day are too old each day");
            assert!(read <= READ * gone + BESIDES, "{kept:?} reads {read} rows to delete {gone}");
        }
    }
}

/// Deletes all that is too old, and returns the numbers of rows that were deleted and read.
async fn retire(
    database: &TestDatabase,
    asking: &mut PgConnection,
    kept: PruneTarget,
    before: NaiveDate,
) -> (i64, i64) {
    const COUNT: &str = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables";
    let count: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *asking).await.unwrap();
    let pool = PgPoolOptions::new().connect_lazy(database.url()).unwrap();
    let duties = PostgresDuties::new(pool.clone());
    let mut gone = 0;
    loop {
        let retired = duties.prune(kept, before).await.unwrap();
        gone += retired.gone.cast_signed();
        if !retired.more {
            break;
        }
    }
    end_all_but(asking, &pool).await;
    let read = sqlx::query_scalar::<_, i64>(COUNT).fetch_one(asking).await.unwrap() - count;
    (gone, read)
}

/// What 2,000 mailboxes leave behind, a day more than is kept; of threads twice as many. No autovacuum: an ANALYZE is
/// part of the test.
const FILL: &str = "
    DO $$ DECLARE one regclass; BEGIN
        FOR one IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', one); END LOOP;
    END $$;
    INSERT INTO mailbox_days (mailbox_id, day, quota, closed)
    SELECT m, '2026-11-24'::date - d, 30, d > 1 FROM generate_series(91, 0, -1) d, generate_series(1, 2000) m;
    INSERT INTO events (at, kind, reason)
    SELECT '2026-11-24'::date - d + m * interval '40 s', 'x', 'x' FROM generate_series(91, 0, -1) d, generate_series(1, 2000) m;
    INSERT INTO scheduled_replies (id, mailbox_id, partner_id, due_at, until, message_id, subject, state)
    SELECT (91 - d) * 4000 + m, m, m + 1, '2026-11-24'::date - d + m * interval '20 s', '2026-11-25', 'mail', 'subject',
           CASE WHEN d > 0 THEN 'sent' ELSE 'waiting' END
    FROM generate_series(91, 0, -1) d, generate_series(1, 4000) m;
    INSERT INTO pairs
    SELECT '2026-11-24'::date - d, m, m + k, 0
    FROM generate_series(4, 0, -1) d, generate_series(1, 2000) m, generate_series(1, 20) k;
    INSERT INTO user_days (user_id, day, reserved)
    SELECT m, '2026-11-24'::date - d, 1 FROM generate_series(31, 0, -1) d, generate_series(1, 2000) m;
    INSERT INTO batches (worker_id, started_at)
    SELECT 'w', '2026-11-24'::date - d + m * interval '40 s' FROM generate_series(31, 0, -1) d, generate_series(1, 2000) m;
    INSERT INTO roster (day, position, mailbox_id, user_id, domain, quota)
    SELECT '2026-11-24'::date - d, m, m, 1, 'd.test', 3 FROM generate_series(31, 0, -1) d, generate_series(1, 2000) m;
    INSERT INTO rosters SELECT '2026-11-24'::date - d, now() FROM generate_series(31, 0, -1) d";
