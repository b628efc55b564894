//! What Postgres was asked and agreed to: a row for each reservation, written by a trigger in the reserve's own
//! transaction, with the shard's epoch as it stands there.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgPool;

const TRIGGER: &str = "
    CREATE TABLE chaos_reserved (at timestamptz NOT NULL DEFAULT clock_timestamp(), shard int, epoch bigint,
                                 stands bigint, worker_id text, message_id text);
    CREATE FUNCTION chaos_reserved() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO chaos_reserved (shard, epoch, stands, worker_id, message_id)
        SELECT NEW.shard, NEW.epoch, epoch, NEW.worker_id, NEW.message_id FROM shards WHERE shard = NEW.shard;
        RETURN NULL;
    END $$;
    CREATE TRIGGER chaos_reserved AFTER INSERT ON in_flight FOR EACH ROW EXECUTE FUNCTION chaos_reserved();";

pub async fn keep(pool: &PgPool) {
    sqlx::raw_sql(TRIGGER).execute(pool).await.unwrap();
}

/// The shards that have mailboxes that may send.
pub async fn inhabited(pool: &PgPool) -> BTreeSet<i32> {
    const READ: &str = "SELECT DISTINCT shard FROM mailboxes WHERE enabled";
    let shards: Vec<i32> = sqlx::query_scalar(READ).fetch_all(pool).await.unwrap();
    shards.into_iter().collect()
}

/// The shard of each mail that was ever reserved, by its Message-ID as the mail host knows it.
pub async fn shards_of_mails(pool: &PgPool) -> Result<BTreeMap<String, i32>, sqlx::Error> {
    const READ: &str = "SELECT trim(BOTH '<>' FROM message_id), shard FROM chaos_reserved";
    let rows: Vec<(String, i32)> = sqlx::query_as(READ).fetch_all(pool).await?;
    Ok(rows.into_iter().collect())
}

/// How many reservations a worker has made.
pub async fn reservations_by(pool: &PgPool, worker: &str) -> i64 {
    const COUNT: &str = "SELECT count(*) FROM chaos_reserved WHERE worker_id = $1";
    sqlx::query_scalar(COUNT).bind(worker).fetch_one(pool).await.unwrap()
}

/// The epochs as they stand.
pub async fn epochs(pool: &PgPool) -> BTreeMap<i32, i64> {
    let rows: Vec<(i32, i64)> = sqlx::query_as("SELECT shard, epoch FROM shards").fetch_all(pool).await.unwrap();
    rows.into_iter().collect()
}
