//! The database is brought to this release, and says when it is not.

use warmup::{
    adapters::postgres::{
        fleet,
        migrate::{MigrateError, SchemaError, check_encoding, check_schema, check_shards, ensure_log_partitions},
        pool::connect_worker,
    },
    domain::shard::shard_of,
};

use super::*;

#[tokio::test]
async fn an_empty_database_is_brought_up_once() {
    let database = world::empty_postgres().await;
    assert!(matches!(check_schema(database.pool()).await.unwrap_err(), SchemaError::Empty));
    let first = bring_up(database.pool(), 16, now()).await.unwrap();
    assert!(first.applied > 0 && first.partitions == 17 && first.shards_before.is_none());
    check_schema(database.pool()).await.unwrap();
    check_shards(database.pool(), 16).await.unwrap();
    let again = bring_up(database.pool(), 16, now()).await.unwrap();
    assert!(first.indexes > 0);
    assert_eq!((again.applied, again.partitions, again.indexes, again.moved), (0, 0, 0, 0));
}

#[tokio::test]
async fn a_database_that_is_not_utf8_is_refused_before_anything_is_written() {
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let database = world::postgres_in(encoding).await;
        let error = bring_up(database.pool(), 16, now()).await.unwrap_err().to_string();
        assert!(error.contains(&format!("has the encoding {encoding}, and warmup needs UTF8")), "{error}");
        assert!(error.contains("ENCODING 'UTF8' TEMPLATE template0"), "{error}");
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        let tables: i64 = sqlx::query_scalar(tables).fetch_one(database.pool()).await.unwrap();
        assert_eq!(tables, 0, "{encoding}");
        // One that an older release migrated: the worker does not start, and says the same.
        world::migrate_unchecked(&database).await;
        assert_eq!(check_encoding(database.pool()).await.unwrap_err().to_string(), error);
    }
    check_encoding(database().await.pool()).await.unwrap();
}

#[tokio::test]
async fn several_pods_may_migrate_at_once() {
    let database = world::empty_postgres().await;
    let pool = database.pool();
    let all = tokio::join!(bring_up(pool, 16, now()), bring_up(pool, 16, now()), bring_up(pool, 16, now()));
    all.0.unwrap();
    all.1.unwrap();
    all.2.unwrap();
    assert_eq!(count(pool, "shards").await, 16);
}

/// A pod that was killed while it built an index leaves an index that no statement uses.
#[tokio::test]
async fn an_index_whose_build_was_interrupted_is_built_again() {
    let database = database().await;
    let pool = database.pool();
    const BREAK: &str = "
        DROP INDEX user_days_by_day;
        CREATE INDEX mailbox_days_day ON mailbox_days (day);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'events_at'::regclass";
    sqlx::raw_sql(BREAK).execute(pool).await.unwrap();
    assert_eq!(bring_up(pool, 256, now()).await.unwrap().indexes, 2);
    const VALID: &str = "
        SELECT count(*) FILTER (WHERE indisvalid), count(*), to_regclass('mailbox_days_day') IS NULL
        FROM pg_index WHERE indexrelid IN ('user_days_by_day'::regclass, 'events_at'::regclass)";
    assert_eq!(sqlx::query_as(VALID).fetch_one(pool).await.ok(), Some((2_i64, 2_i64, true)));
    assert_eq!(bring_up(pool, 256, now()).await.unwrap().indexes, 0);
}

#[tokio::test]
async fn a_database_of_another_release_is_refused() {
    let database = database().await;
    let pool = database.pool();
    let run = |sql: &'static str| sqlx::query(sql).execute(pool);
    run("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1").await.unwrap();
    assert!(matches!(check_schema(pool).await.unwrap_err(), SchemaError::Foreign(1)));
    assert!(matches!(bring_up(pool, 256, now()).await.unwrap_err(), MigrateError::Foreign(_)));
    run("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1").await.unwrap();
    let error = check_schema(pool).await.unwrap_err();
    assert!(error.to_string().contains("this release is older than the database"), "{error}");
    run("UPDATE _sqlx_migrations SET version = 0 WHERE version = 9999").await.unwrap();
    assert!(matches!(check_schema(pool).await.unwrap_err(), SchemaError::Foreign(0)), "a step that we do not know");
    run("UPDATE _sqlx_migrations SET version = 1, success = false WHERE version = 0").await.unwrap();
    let error = check_schema(pool).await.unwrap_err();
    assert!(error.to_string().contains("run `warmup migrate`"), "{error}");
}

#[tokio::test]
async fn log_partitions_reach_from_two_days_ago_to_a_fortnight_ahead() {
    let database = database().await;
    let pool = database.pool();
    let bounds: (String, String) =
        sqlx::query_as("SELECT min(relname)::text, max(relname)::text FROM pg_class WHERE relname ~ '^logs_[0-9]{8}$'")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(bounds, ("logs_20261122".to_owned(), "logs_20261208".to_owned()));
    let today = now().date_naive() + chrono::Days::new(3);
    assert_eq!(ensure_log_partitions(pool, today).await.unwrap(), 3);
    assert_eq!(ensure_log_partitions(pool, today).await.unwrap(), 0);
}

#[tokio::test]
async fn another_number_of_shards_moves_every_mailbox_and_shuts_out_old_owners() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &many(40)).await.unwrap();
    sqlx::query("UPDATE shards SET epoch = 7, worker_id = 'old'").execute(pool).await.unwrap();
    let flight = "INSERT INTO in_flight (mailbox_id, partner_id, user_id, day, round, shard, epoch, worker_id, run, batch_id, \
                  message_id, subject, sender, recipient, limited) \
                  SELECT id, 1, 1, '2026-11-24', 1, shard, 7, 'old', gen_random_uuid(), 1, email, '', '', '', false FROM mailboxes";
    sqlx::query(flight).execute(pool).await.unwrap();
    assert!(matches!(check_shards(pool, 8).await.unwrap_err(), SchemaError::Shards { found: 256, wanted: 8 }));

    let migrated = bring_up(pool, 8, now()).await.unwrap();
    assert_eq!((migrated.shards_before, migrated.moved > 30), (Some(256), true));
    for table in ["SELECT id, shard FROM mailboxes", "SELECT mailbox_id, shard FROM in_flight"] {
        let rows: Vec<(i64, i32)> = sqlx::query_as(table).fetch_all(pool).await.unwrap();
        assert!(rows.len() == 40 && rows.iter().all(|(id, shard)| shard_of(MailboxId(*id), 8).0 == *shard), "{table}");
    }
    // A shard that goes and comes back must not meet an epoch that somebody may still hold.
    bring_up(pool, 256, now()).await.unwrap();
    let shards: Vec<(i32, i64, Option<String>)> =
        sqlx::query_as("SELECT shard, epoch, worker_id FROM shards ORDER BY shard").fetch_all(pool).await.unwrap();
    assert_eq!(shards.len(), 256);
    assert!(shards.iter().all(|(_, epoch, worker)| *epoch > 7 && worker.is_none()), "{shards:?}");
}

#[tokio::test]
async fn while_a_worker_is_connected_the_number_of_shards_stays() {
    let database = database().await;
    let worker = connect_worker(&database.url().into(), 1).await.unwrap();
    sqlx::query("SELECT 1").execute(&worker).await.unwrap();

    let refused = bring_up(database.pool(), 8, now()).await.unwrap_err();

    assert!(matches!(refused, MigrateError::Working { found: 256, wanted: 8, sessions: 1 }), "{refused}");
    assert!(refused.to_string().contains("stop all workers"), "{refused}");
    check_shards(database.pool(), 256).await.unwrap();
    bring_up(database.pool(), 256, now()).await.expect("the same number is no change");
    worker.close().await;
    let gone = async || bring_up(database.pool(), 8, now()).await.is_ok();
    world::eventually(std::time::Duration::from_secs(20), gone).await;
    check_shards(database.pool(), 8).await.unwrap();
}

#[tokio::test]
async fn each_database_is_a_fleet_of_its_own_also_when_one_is_a_copy() {
    // Both are copies of one template, with its uuid.
    let (one, other) = tokio::join!(world::postgres(), world::postgres());
    let of = async |database: &TestDatabase| fleet::identity(database.pool()).await.unwrap();
    assert!(of(&one).await.differs(&of(&other).await));
    assert_eq!(of(&one).await, of(&one).await);
}
