//! What a test asks about the sessions of its database: who waits, and whether all have ended and so reported what they
//! counted (scans, deadlocks).

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;
use warmup_support::world::eventually;

const WITHIN: Duration = Duration::from_secs(20);

/// Closes the pool and returns when no session of this database is left but the asking one.
pub async fn end_all_but(asking: &mut PgConnection, pool: &PgPool) {
    pool.close().await;
    const OTHERS: &str = "
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let asking = Mutex::new(asking);
    eventually(WITHIN, async || {
        sqlx::query_scalar::<_, i64>(OTHERS).fetch_one(&mut **asking.lock().await).await.unwrap() == 0
    })
    .await;
}

/// Returns when so many sessions wait for a lock. The first to wait is the first to get it.
pub async fn waiting(pool: &PgPool, sessions: i64) {
    const WAITING: &str = "
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually(WITHIN, async || sqlx::query_scalar::<_, i64>(WAITING).fetch_one(pool).await.unwrap() == sessions).await;
}
