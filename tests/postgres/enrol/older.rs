//! What a migration makes of the rows that an older release left.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, migrate::Migrator};
use warmup_support::world::{TestDatabase, empty_postgres};

/// A database that no release after migration `version` has seen.
async fn database_at(version: i64) -> TestDatabase {
    let database = empty_postgres().await;
    let all = sqlx::migrate!("./migrations");
    let older = all.migrations.iter().filter(|migration| migration.version <= version).cloned().collect();
    Migrator { migrations: Cow::Owned(older), ..Migrator::DEFAULT }.run(database.pool()).await.unwrap();
    database
}

/// Applies the migration after those that were applied.
async fn apply_next(pool: &PgPool, version: i64) {
    let all = sqlx::migrate!("./migrations");
    let next = all.iter().find(|migration| migration.version == version).expect("it is a migration");
    sqlx::raw_sql(next.sql.clone()).execute(pool).await.unwrap();
}

async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

/// Three owners: 1 to 4 belong to the first, 5 and 6 to the second, 7 to the third. 4 submits to another port, 6 was removed.
const MAILBOXES: &str = "
    INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE SELECT n, 'owner' || n || '@x.test' FROM generate_series(11, 13) AS n;
    INSERT INTO mailboxes (id, user_id, email, domain, display_name, username, sealed_password, smtp_host, smtp_port,
                           smtp_security, timezone, window_start, window_end, days, ramp_start, ramp_step, daily_max,
                           reply_rate, shard, state, reason)
    SELECT n, CASE WHEN n <= 4 THEN 11 WHEN n <= 6 THEN 12 ELSE 13 END, 'm' || n || '@x.test', 'x.test', '', '', '\\x00',
           CASE WHEN n = 1 THEN 'Mail.x.test' ELSE 'mail.x.test' END, CASE n WHEN 4 THEN 465 ELSE 587 END,
           CASE n WHEN 4 THEN 'tls' ELSE 'starttls' END, 'UTC', 540, 1020, 127, 5, 5, 30, 30, 0, CASE n WHEN 6 THEN 'removed' ELSE 'active' END,
           CASE n WHEN 6 THEN 'operator' END
    FROM generate_series(1, 7) AS n";

#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Pause {
    scope: String,
    key: String,
    user_id: Option<i64>,
    probing: bool,
    refused: Vec<String>,
    until: DateTime<Utc>,
}

async fn pauses(pool: &PgPool) -> Vec<Pause> {
    const READ: &str = "
        SELECT scope, key, user_id, probing, ARRAY(SELECT jsonb_object_keys(refused) ORDER BY 1) AS refused, until
        FROM pauses ORDER BY scope, key";
    sqlx::query_as(READ).fetch_all(pool).await.unwrap()
}

fn hour(hour: u32) -> DateTime<Utc> {
    format!("2026-11-24T{hour:02}:00:00Z").parse().unwrap()
}

fn pause(key: &str, user_id: Option<i64>, probing: bool, refused: &[&str], until: u32) -> Pause {
    let scope = if user_id.is_some() { "login" } else { "host" }.to_owned();
    let refused = refused.iter().map(ToString::to_string).collect();
    Pause { scope, key: key.to_owned(), user_id, probing, refused, until: hour(until) }
}

#[tokio::test]
async fn an_open_breaker_of_a_host_becomes_one_of_each_owner_and_stays_common_for_two_owners() {
    let database = database_at(36).await;
    let pool = database.pool();
    run(pool, MAILBOXES).await;
    run(
        pool,
        "INSERT INTO pauses (scope, key, reason, since, until, refused, probing)
         SELECT 'host', 'mail.x.test', 'auth-breaker', '2026-11-24 10:00Z', '2026-11-24 11:00Z', jsonb_object_agg(n, now()), true
         FROM unnest(ARRAY[1, 2, 4, 5, 6]) AS n",
    )
    .await;
    apply_next(pool, 37).await;
    let expected = [
        pause("mail.x.test", None, true, &["1", "2", "4", "5", "6"], 11),
        pause("11/mail.x.test:465/tls", Some(11), true, &["4"], 11),
        pause("11/mail.x.test:587/starttls", Some(11), true, &["1", "2"], 11),
        pause("12/mail.x.test:587/starttls", Some(12), true, &["5"], 11),
    ];
    assert_eq!(pauses(pool).await, expected, "a removed mailbox counts for nobody's login");
}

#[tokio::test]
async fn a_breaker_that_one_owner_opened_rests_that_owner_alone() {
    let database = database_at(36).await;
    let pool = database.pool();
    run(pool, MAILBOXES).await;
    run(
        pool,
        "INSERT INTO pauses (scope, key, reason, since, until, refused, probing)
         SELECT 'host', 'mail.x.test', 'auth-breaker', '2026-11-24 10:00Z', '2026-11-24 11:00Z', jsonb_object_agg(n, now()), true
         FROM unnest(ARRAY[1, 2, 3]) AS n;
         INSERT INTO pauses (scope, key, reason, since, until) VALUES
             ('host', 'down.test', 'host-unreachable', '2026-11-24 10:00Z', '2026-11-24 12:00Z'),
             ('domain', 'x.test', 'domain-unauthenticated', '2026-11-24 10:00Z', '2026-11-24 13:00Z')",
    )
    .await;
    apply_next(pool, 37).await;
    let domain = Pause { scope: "domain".to_owned(), ..pause("x.test", None, false, &[], 13) };
    let expected = [
        domain,
        pause("down.test", None, false, &[], 12),
        pause("mail.x.test", None, false, &[], 10),
        pause("11/mail.x.test:587/starttls", Some(11), true, &["1", "2", "3"], 11),
    ];
    assert_eq!(pauses(pool).await, expected, "everybody else sends again");
}

#[tokio::test]
async fn refusals_that_opened_no_breaker_count_for_their_owners_login_too() {
    let database = database_at(36).await;
    let pool = database.pool();
    run(pool, MAILBOXES).await;
    run(
        pool,
        "INSERT INTO pauses (scope, key, reason, since, until, refused)
         SELECT 'host', 'mail.x.test', 'auth-refused', '2026-11-24 10:00Z', '2026-11-24 10:00Z', jsonb_object_agg(n, now())
         FROM unnest(ARRAY[3, 7]) AS n",
    )
    .await;
    apply_next(pool, 37).await;
    let expected = [
        pause("mail.x.test", None, false, &["3", "7"], 10),
        pause("11/mail.x.test:587/starttls", Some(11), false, &["3"], 10),
        pause("13/mail.x.test:587/starttls", Some(13), false, &["7"], 10),
    ];
    assert_eq!(pauses(pool).await, expected);
}

#[tokio::test]
async fn refusals_in_a_row_are_failures_in_a_row() {
    let database = database_at(38).await;
    let pool = database.pool();
    run(pool, MAILBOXES).await;
    run(pool, "UPDATE mailboxes SET refusals = 4 WHERE id = 2").await;
    apply_next(pool, 39).await;
    let failures = "SELECT failures FROM mailboxes WHERE id <= 3 ORDER BY id";
    let failures: Vec<i16> = sqlx::query_scalar(failures).fetch_all(pool).await.unwrap();
    assert_eq!(failures, [0, 4, 0]);
}
