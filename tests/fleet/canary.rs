//! A secret that would be recognised anywhere: in logs, in Redis, in any column of Postgres, in a mail.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, OnceLock},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::NamedTempFile;
use warmup::local::servers::PrivateRedis;

/// A part of every password.
pub const CANARY: &str = "canary-3f9a71c5";

/// All shapes in which the canary could leak: itself, in hexadecimal as Postgres shows bytes, and in base64 behind a
/// text of any length, as AUTH PLAIN and AUTH LOGIN send it.
fn shapes() -> Vec<String> {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut shapes = vec![CANARY.to_owned(), hex];
    shapes.extend((0..3).map(base64_behind));
    shapes
}

/// The letters of base64 that depend on the canary alone when `before` bytes stand before it.
fn base64_behind(before: usize) -> String {
    let text = STANDARD_NO_PAD.encode([vec![0; before], CANARY.into()].concat());
    let (first, last) = ((before * 8).div_ceil(6), (before + CANARY.len()) * 8 / 6);
    text[first..last].to_owned()
}

/// Fails if the canary is in `text`, in any shape.
pub fn assert_absent(place: &str, text: &[u8]) {
    for shape in shapes() {
        let found = text.windows(shape.len()).position(|window| window == shape.as_bytes());
        let around = found.map(|at| String::from_utf8_lossy(&text[at.saturating_sub(200)..at]).into_owned());
        assert!(found.is_none(), "a password is in {place}, as {shape}, behind: {}", around.unwrap_or_default());
    }
}

/// Fails if the canary is in any column of any table.
pub async fn assert_absent_from_postgres(pool: &PgPool) {
    let tables = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables {
        let rows = AssertSqlSafe(format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} t"));
        let rows: String = sqlx::query_scalar(rows).fetch_one(pool).await.unwrap();
        assert_absent(&table, rows.as_bytes());
    }
}

/// Fails if the canary is in any key or value of Redis. Returns how many keys there were.
pub async fn assert_absent_from_redis(server: &PrivateRedis) -> usize {
    let client = redis::Client::open(server.url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    // Otherwise a dumped value is compressed, and nothing is recognised in it.
    let plain = redis::cmd("CONFIG").arg("SET").arg("rdbcompression").arg("no").to_owned();
    plain.exec_async(&mut redis).await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap();
    for key in &keys {
        let value: Vec<u8> = redis::cmd("DUMP").arg(key).query_async(&mut redis).await.unwrap();
        assert_absent("a key of Redis", key.as_bytes());
        assert_absent(key, &value);
    }
    keys.len()
}

/// Collects what this process logs from now on, down to debug, of all tests that run in it.
pub fn collect_logs() -> PathBuf {
    static FILE: OnceLock<NamedTempFile> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let file = NamedTempFile::new().unwrap();
        let writer = Mutex::new(file.reopen().unwrap());
        let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
        builder.with_writer(writer).try_init().expect("nobody else collects the logs of this process");
        file
    });
    file.path().to_owned()
}

/// Fails if the canary was logged.
pub fn assert_absent_from_logs(file: &PathBuf) {
    let logs = fs::read(file).unwrap();
    let says = |text: &str| logs.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(says("worker started") && says("DEBUG"), "the logs were not collected");
    assert_absent("the logs", &logs);
}

#[test]
fn every_shape_of_the_canary_is_recognised() {
    let plain = |user: &str| STANDARD_NO_PAD.encode(format!("\0{user}\0x{CANARY}y"));
    for text in [format!("a{CANARY}b"), plain("a"), plain("ab"), plain("abc")] {
        let found = shapes().iter().any(|shape| text.contains(shape.as_str()));
        assert!(found, "{text} is not recognised");
    }
}
