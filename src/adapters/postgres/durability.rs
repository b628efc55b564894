//! `durability_warnings` checks whether the server keeps its commits: a mail whose commit is lost may be sent again.

use sqlx::{PgPool, Row};

/// Returns a warning for each setting by which this server may lose commits.
pub async fn durability_warnings(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    // A user without the right to see standbys sees rows without a state: the query ignores those.
    const LOOK: &str = "
        SELECT current_setting('fsync') = 'off' AS no_fsync,
               -- What other sessions have: a worker's own wait for the disk.
               (SELECT reset_val = 'off' FROM pg_settings WHERE name = 'synchronous_commit') AS no_commit_wait, current_setting('full_page_writes') = 'off' AS torn_pages,
               (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'async') AS standbys,
               EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS has_synchronous";
    let row = sqlx::query(LOOK).fetch_one(pool).await?;
    let mut warnings = Vec::new();
    if row.try_get("no_fsync")? {
        warnings.push("fsync is off on this Postgres: a crash of its machine loses commits, and mails would be sent again; set fsync = on".to_owned());
    }
    if row.try_get("torn_pages")? {
        warnings.push("full_page_writes is off on this Postgres: a crash of its machine may leave torn pages; set full_page_writes = on".to_owned());
    }
    if row.try_get("no_commit_wait")? {
        warnings.push("synchronous_commit is off on this Postgres: workers switch it on for their own sessions, but a crash loses the last commits of every other session, such as orders and imports; set synchronous_commit = on".to_owned());
    }
    let standbys: i64 = row.try_get("standbys")?;
    if standbys > 0 && !row.try_get::<bool, _>("has_synchronous")? {
        warnings.push(format!(
            "{standbys} standbys of this Postgres are asynchronous: a failover loses the last commits, and the fleet then stops \
             until it is fenced; name one in synchronous_standby_names"
        ));
    }
    Ok(warnings)
}
