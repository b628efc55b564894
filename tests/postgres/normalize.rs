//! An older system's log is repaired, by the command's own way and by psql, to the same end.

use std::{path::Path, process::Stdio};

use sqlx::{Connection, PgConnection, PgPool};
use tokio::process::Command;
use warmup::adapters::postgres::normalize::{NormalizeError, Normalized, normalize};
use warmup_support::world::{TestDatabase, empty_postgres};

use crate::sessions::waiting;

const OLD: &str = "CREATE TABLE logs (timestamp timestamptz DEFAULT now(), sender_id int, recipient_id int, sender text, \
                   recipient text, subject text, status text, notes text)";

/// Every spelling that is known, with what it becomes.
const KNOWN: [(&str, &str); 12] = [
    ("SENT", "SENT"),
    ("sent", "SENT"),
    ("Sent", "SENT"),
    ("SENT ", "SENT"),
    ("\tsent\r\n", "SENT"),
    ("\u{a0}Sent\u{202f}", "SENT"),
    ("REPLIED", "REPLIED"),
    ("replied", "REPLIED"),
    (" RePlIeD", "REPLIED"),
    ("FAILED", "FAILED"),
    ("failed\n", "FAILED"),
    ("\u{feff}failed\u{200b}", "FAILED"),
];

async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

async fn old() -> TestDatabase {
    let database = empty_postgres().await;
    run(database.pool(), OLD).await;
    database
}

/// Writes a row of each status, its place in `sender_id`.
async fn write(pool: &PgPool, statuses: &[Option<&str>]) {
    const WRITE: &str = "INSERT INTO logs (sender_id, status) SELECT place, status FROM unnest($1::text[]) WITH ORDINALITY AS row (status, place)";
    let statuses: Vec<Option<String>> = statuses.iter().map(|status| status.map(str::to_owned)).collect();
    sqlx::query(WRITE).bind(statuses).execute(pool).await.unwrap();
}

async fn write_known(pool: &PgPool) {
    write(pool, &KNOWN.map(|(stored, _)| Some(stored))).await;
}

async fn statuses(pool: &PgPool) -> Vec<Option<String>> {
    sqlx::query_scalar("SELECT status FROM logs ORDER BY sender_id, ctid").fetch_all(pool).await.unwrap()
}

/// The whole table and its constraints; with `versions` also whether a row was written anew.
async fn dump(pool: &PgPool, versions: bool) -> Vec<String> {
    const VERSIONS: &str = "SELECT xmin || ' ' || l::text FROM logs l ORDER BY ctid";
    const ROWS: &str = "SELECT (to_jsonb(l) - 'timestamp')::text FROM logs l ORDER BY sender_id, status, ctid";
    let rows = if versions { VERSIONS } else { ROWS };
    let mut all: Vec<String> = sqlx::query_scalar(rows).fetch_all(pool).await.unwrap();
    const CHECKS: &str =
        "SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' ORDER BY conname";
    all.extend(sqlx::query_scalar::<_, String>(CHECKS).fetch_all(pool).await.unwrap());
    all
}

async fn repair(pool: &PgPool) -> Normalized {
    normalize(pool, "logs", None).await.unwrap()
}

async fn refusal(pool: &PgPool) -> String {
    match normalize(pool, "logs", None).await.unwrap_err() {
        NormalizeError::Refused(text) => text,
        NormalizeError::Database(error) => panic!("not by the repair: {error}"),
    }
}

/// Runs the shell script, which runs psql; returns its exit status and all that was said.
async fn by_psql(database: &TestDatabase, arguments: &[&str]) -> (i32, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/normalize-status.sh");
    let mut command = Command::new(script);
    command.args(arguments).env("DATABASE_URL", database.url()).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.expect("bash and psql are installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

/// Runs the command itself.
async fn by_command(database: &TestDatabase, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmup"));
    command.args(["logs", "normalize"]).args(arguments).env_clear().env("DATABASE_URL", database.url());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn every_spelling_becomes_its_word_and_other_columns_stay() {
    let database = old().await;
    write_known(database.pool()).await;
    let done = repair(database.pool()).await;
    let wanted: Vec<Option<String>> = KNOWN.iter().map(|(_, word)| Some((*word).to_owned())).collect();
    assert_eq!(statuses(database.pool()).await, wanted);
    assert_eq!(done.after, [("SENT".to_owned(), 6), ("REPLIED".to_owned(), 3), ("FAILED".to_owned(), 3)]);
    assert_eq!((done.changed, done.before.iter().map(|line| line.rows).sum::<i64>()), (9, 12));
    assert!(done.before.iter().any(|line| line.stored == r#""SENT ""# && line.becomes == "SENT"), "{:?}", done.before);
    let error = sqlx::query("INSERT INTO logs (status) VALUES ('sent')").execute(database.pool()).await.unwrap_err();
    assert!(error.to_string().contains("logs_status_known"), "{error}");
    assert!(sqlx::query("INSERT INTO logs (status) VALUES (NULL)").execute(database.pool()).await.is_err());
}

#[tokio::test]
async fn unknown_values_are_listed_and_nothing_is_changed() {
    let database = old().await;
    write(database.pool(), &[Some("sent"), Some("bounced"), Some("bounced"), Some(""), Some("  "), None]).await;
    let before = dump(database.pool(), true).await;
    let said = refusal(database.pool()).await;
    for part in ["5 of 6 rows", "2 rows: \"bounced\"", "1 rows: \"\"", "1 rows: \"  \"", "1 rows: NULL", "--unknown-as"]
    {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert_eq!(dump(database.pool(), true).await, before);
    let done = normalize(database.pool(), "logs", Some("FAILED")).await.unwrap();
    assert_eq!(done.after, [("SENT".to_owned(), 1), ("REPLIED".to_owned(), 0), ("FAILED".to_owned(), 5)]);
}

#[tokio::test]
async fn many_unknown_values_are_listed_by_their_most_frequent() {
    let database = old().await;
    run(database.pool(), "INSERT INTO logs (status) SELECT 'odd ' || n FROM generate_series(1, 5000) n").await;
    run(database.pool(), "INSERT INTO logs (status) SELECT 'often' FROM generate_series(1, 3)").await;
    let said = refusal(database.pool()).await;
    assert!(said.lines().count() < 60 && said.contains("3 rows: \"often\""), "{said}");
    assert!(said.contains("4951 rows: (4951 other values)"), "{said}");
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let database = old().await;
    write_known(database.pool()).await;
    assert_eq!(repair(database.pool()).await.notes, ["added the constraint logs_status_known"]);
    let after = dump(database.pool(), true).await;
    let again = repair(database.pool()).await;
    assert_eq!((again.changed, again.notes.len()), (0, 0));
    assert_eq!(dump(database.pool(), true).await, after);
    assert_eq!(by_psql(&database, &[]).await.0, 0);
    assert_eq!(dump(database.pool(), true).await, after);
}

#[tokio::test]
async fn psql_and_the_command_leave_the_same_table() {
    let (one, other) = tokio::join!(old(), old());
    for database in [&one, &other] {
        write_known(database.pool()).await;
        write(database.pool(), &[Some("queued"), None]).await;
    }
    let (refused, said) = by_psql(&other, &[]).await;
    assert!(refused == 1 && said.contains("1 rows: \"queued\"") && said.contains("nothing was changed"), "{said}");
    let (refused, said) = by_command(&one, &[]).await;
    assert!(refused == 1 && said.contains("1 rows: \"queued\"") && said.contains("nothing was changed"), "{said}");
    let (ended, said) = by_command(&one, &["--unknown-as", "failed"]).await;
    assert_eq!(ended, 0, "{said}");
    let (ended, told) = by_psql(&other, &["--unknown-as", "FAILED", "--table", "public.logs"]).await;
    assert_eq!(ended, 0, "{told}");
    for said in [said, told] {
        let total = said.lines().filter(|line| line.contains("total") && line.trim_end().ends_with("14")).count();
        assert_eq!(total, 2, "before and after: {said}");
    }
    assert_eq!(dump(one.pool(), false).await, dump(other.pool(), false).await);
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_repaired() {
    let database = old().await;
    run(
        database.pool(),
        "INSERT INTO logs (sender_id, status) \
         SELECT n, (ARRAY['sent', ' Replied', 'FAILED', E'failed\\t'])[n % 4 + 1] FROM generate_series(1, 100000) n",
    )
    .await;
    let done = repair(database.pool()).await;
    assert_eq!(
        done.after,
        [("SENT".to_owned(), 25_000), ("REPLIED".to_owned(), 25_000), ("FAILED".to_owned(), 50_000)]
    );
    assert_eq!(done.changed, 75_000);
}

#[tokio::test]
async fn a_writer_that_comes_meanwhile_can_slip_nothing_in() {
    let database = old().await;
    write_known(database.pool()).await;
    // The old system is in the middle of a write: the repair waits for it and sees its row.
    let mut writing = PgConnection::connect(database.url()).await.unwrap();
    let mut open = writing.begin().await.unwrap();
    sqlx::query("INSERT INTO logs (sender_id, status) VALUES (100, 'rEpLiEd')").execute(&mut *open).await.unwrap();
    let repairing = tokio::spawn({
        let pool = database.pool().clone();
        async move { normalize(&pool, "logs", None).await }
    });
    waiting(database.pool(), 1).await;
    // And one that writes behind it waits in its turn, and meets the CHECK.
    let late = tokio::spawn({
        let pool = database.pool().clone();
        async move { sqlx::query("INSERT INTO logs (status) VALUES ('sent')").execute(&pool).await }
    });
    waiting(database.pool(), 2).await;
    open.commit().await.unwrap();
    let done = repairing.await.unwrap().unwrap();
    assert_eq!(done.after[1], ("REPLIED".to_owned(), 4));
    assert!(late.await.unwrap().unwrap_err().to_string().contains("logs_status_known"));
}

#[tokio::test]
async fn an_older_check_gives_way_when_it_refuses_a_word() {
    let database = empty_postgres().await;
    run(
        database.pool(),
        "CREATE TABLE logs (sender_id int, status varchar(20) NOT NULL CONSTRAINT old CHECK (status IN ('sent', 'failed')) \
         CONSTRAINT short CHECK (length(status) < 10)); INSERT INTO logs VALUES (1, 'sent'), (2, 'failed')",
    )
    .await;
    let done = repair(database.pool()).await;
    assert!(done.notes[0].starts_with("dropped the older constraint old CHECK"), "{:?}", done.notes);
    assert_eq!(done.notes.len(), 2, "the other one stays: {:?}", done.notes);
    assert_eq!(repair(database.pool()).await.notes.len(), 0);
}

#[tokio::test]
async fn a_check_that_is_as_strict_is_enough_and_a_lax_one_is_not() {
    let database = empty_postgres().await;
    let pool = database.pool();
    run(pool, "CREATE TABLE logs (status text NOT NULL CHECK (status IN ('SENT', 'REPLIED', 'FAILED')))").await;
    assert!(repair(pool).await.notes.is_empty());
    run(pool, "DROP TABLE logs; CREATE TABLE logs (status text, CONSTRAINT logs_status_known CHECK (status <> 'X'))")
        .await;
    assert_eq!(repair(pool).await.notes.len(), 2);
    run(
        pool,
        "DROP TABLE logs; CREATE TABLE logs (status text); INSERT INTO logs VALUES ('sent'); \
               ALTER TABLE logs ADD CONSTRAINT old CHECK (status IN ('SENT', 'REPLIED', 'FAILED')) NOT VALID",
    )
    .await;
    assert_eq!(repair(pool).await.notes, ["added the constraint logs_status_known"]);
}

#[tokio::test]
async fn what_is_not_an_older_log_is_refused_with_a_sentence() {
    let database = empty_postgres().await;
    let pool = database.pool();
    assert!(refusal(pool).await.contains("there is no table logs"));
    for (make, says) in [
        ("CREATE VIEW logs AS SELECT 'sent' AS status", "logs is no table but a view"),
        ("DROP VIEW logs; CREATE TABLE logs (at timestamptz)", "has no column status"),
        ("DROP TABLE logs; CREATE TYPE word AS ENUM ('sent', 'SENT'); CREATE TABLE logs (status word)", "of type word"),
        ("DROP TABLE logs; CREATE DOMAIN short AS text; CREATE TABLE logs (status short)", "of type short"),
        ("DROP TABLE logs; CREATE TABLE logs (status char(10))", "of type character(10)"),
        ("DROP TABLE logs; CREATE TABLE logs (status varchar(6))", "of type character varying(6)"),
        (
            "DROP TABLE logs; CREATE TABLE logs (status text, sender_id int, CHECK (status <> 'SENT' OR sender_id > 0)); \
          INSERT INTO logs VALUES ('sent', 0)",
            "another rule of logs refuses a repaired row",
        ),
    ] {
        run(pool, make).await;
        let said = refusal(pool).await;
        assert!(said.contains(says), "{said}");
    }
}

#[tokio::test]
async fn our_own_log_is_refused() {
    let database = warmup_support::world::postgres().await;
    assert!(refusal(database.pool()).await.contains("is warmup's own table"));
}

#[tokio::test]
async fn a_table_of_another_schema_is_named_with_it() {
    let database = empty_postgres().await;
    let pool = database.pool();
    run(pool, "CREATE SCHEMA older; CREATE TABLE older.logs (status text); INSERT INTO older.logs VALUES ('Sent')")
        .await;
    assert!(refusal(pool).await.contains("there is no table logs"));
    assert_eq!(normalize(pool, "older.logs", None).await.unwrap().changed, 1);
}

#[tokio::test]
async fn who_does_not_own_the_table_is_told_who_does() {
    let database = old().await;
    let role = format!("guest_{}", uuid::Uuid::now_v7().simple());
    let make = format!("CREATE ROLE {role}; GRANT ALL ON logs TO {role}; ");
    sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(database.pool()).await.unwrap();
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(database.url()).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("SET ROLE {role}"))).execute(&pool).await.unwrap();
    let said = refusal(&pool).await;
    assert!(said.contains("only its owner may add a CHECK") && said.contains("Connect as"), "{said}");
}

#[tokio::test]
async fn the_urls_password_is_in_no_error() {
    let database = old().await;
    let (server, _) = database.url().rsplit_once('/').unwrap();
    let host = server.rsplit_once('@').map_or(server, |(_, host)| host);
    let url = format!("postgres://warmup:canary-nightjar@{host}/nowhere");
    for arguments in [&["--database", url.as_str()][..], &["--database", "postgres://u:canary-nightjar@h:x/db"]] {
        let (ended, said) = by_command(&database, arguments).await;
        assert!(ended != 0 && !said.contains("canary"), "{said}");
    }
}
