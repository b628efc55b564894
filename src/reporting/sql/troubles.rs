//! This module reads the problems that affect a part of the fleet: paused hosts and domains, workers that take no
//! shards, and results that the database refused.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};

use crate::domain::{id::ShardId, outcome::blame::REFUSES_PARTNERS};

/// A `PausedPlace` is a mail host or a domain whose mailboxes wait.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct PausedPlace {
    /// The scope: `host` or `domain`.
    pub scope: String,
    pub key: String,
    /// The owner that the pause concerns; `None` for all owners.
    pub user: Option<String>,
    pub reason: String,
    pub until: DateTime<Utc>,
    /// True if its breaker is open: after `until` one mailbox at a time probes it.
    pub probing: bool,
    /// The number of mailboxes that its breaker disabled: they return with the host.
    pub returning: i64,
}

/// Returns the hosts and domains that are paused at `now`, or that one mailbox at a time probes.
pub async fn paused_places(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<PausedPlace>, sqlx::Error> {
    const PAUSED: &str = "
        SELECT p.scope, p.key, NULL::text AS user, p.reason, p.until, p.probing, (
                   SELECT count(*) FROM mailboxes m
                   WHERE p.probing AND m.id IN (SELECT jsonb_object_keys(p.refused)::bigint)
                     AND m.state = 'disabled' AND lower(m.smtp_host) = p.key
               ) AS returning
        FROM pauses p WHERE p.scope = 'host' AND (p.until > $1 OR p.probing)
        UNION ALL
        SELECT 'host', regexp_replace(p.key, '^[0-9]+/', ''), u.email, p.reason, p.until, p.probing, (
                   SELECT count(*) FROM mailboxes m
                   WHERE p.probing AND m.id IN (SELECT jsonb_object_keys(p.refused)::bigint) AND m.state = 'disabled'
                     AND login_key(m.user_id, m.smtp_host, m.smtp_port, m.smtp_security) = p.key
               )
        FROM pauses p JOIN users u ON u.id = p.user_id
        WHERE p.scope = 'login' AND (p.until > $1 OR p.probing)
        UNION ALL
        SELECT p.scope, p.key, u.email, p.reason, p.until, false, 0
        FROM owner_pauses p JOIN users u ON u.id = p.user_id WHERE p.until > $1
        ORDER BY scope DESC, key";
    sqlx::query_as(PAUSED).bind(now).fetch_all(pool).await
}

/// Returns the number of mail hosts that are paused at `now`, for all owners or for one, or that are probed.
pub async fn paused_hosts(pool: &PgPool, now: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    const COUNT: &str = "
        SELECT count(DISTINCT host) FROM (
            SELECT regexp_replace(key, '^[0-9]+/|:[0-9]+/[a-z]+$', '', 'g') AS host
            FROM pauses WHERE scope IN ('host', 'login') AND (until > $1 OR probing)
            UNION ALL
            SELECT regexp_replace(key, ':[0-9]+$', '') FROM owner_pauses WHERE scope = 'host' AND until > $1
        ) AS paused";
    sqlx::query_scalar(COUNT).bind(now).fetch_one(pool).await
}

/// Returns the number of mail hosts that are paused at `now` because they refused most of their partners, counted per
/// owner.
pub async fn suspected_hosts(pool: &PgPool, now: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    const COUNT: &str = "
        SELECT count(*) FROM owner_pauses WHERE scope = 'host' AND reason = $2 AND until > $1";
    sqlx::query_scalar(COUNT).bind(now).bind(REFUSES_PARTNERS).fetch_one(pool).await
}

/// `UnverifiedMailboxes` counts the mailboxes that receive only from their owner's mailboxes.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct UnverifiedMailboxes {
    pub count: i64,
    /// The addresses of the first three, by id.
    pub examples: Vec<String>,
}

/// Reads the unverified mailboxes, except the removed ones.
pub async fn unverified_mailboxes(pool: &PgPool) -> Result<UnverifiedMailboxes, sqlx::Error> {
    const UNVERIFIED: &str = "
        SELECT (SELECT count(*) FROM mailboxes WHERE verified_by IS NULL AND state <> 'removed') AS count,
               ARRAY(SELECT email FROM mailboxes WHERE verified_by IS NULL AND state <> 'removed' ORDER BY id LIMIT 3)
                   AS examples";
    sqlx::query_as(UNVERIFIED).fetch_one(pool).await
}

/// A `HinderedWorker` is a worker that does not do its part, according to its last heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct HinderedWorker {
    pub worker_id: String,
    /// The state: `clock-off`, `replaced` or `benched`; any state for a silent worker.
    pub state: String,
    /// The time of the last heartbeat by the database's clock.
    pub beat_at: DateTime<Utc>,
    /// True if the worker wrote no heartbeat for two lease times and did not stop in order.
    pub is_silent: bool,
}

/// Returns the workers of the last hour that take no shards or are silent, at most 20, by name.
pub async fn hindered_workers(pool: &PgPool, lease_ttl: Duration) -> Result<Vec<HinderedWorker>, sqlx::Error> {
    const HINDERED: &str = "
        SELECT worker_id, state, beat_at, is_silent
        FROM (
            SELECT *, beat_at < clock_timestamp() - 2 * make_interval(secs => $1) AS is_silent FROM worker_heartbeats
        ) AS each
        WHERE beat_at > clock_timestamp() - interval '1 hour' AND state <> 'stopped'
          AND (is_silent OR state IN ('clock-off', 'replaced', 'benched'))
        ORDER BY worker_id LIMIT 20";
    sqlx::query_as(HINDERED).bind(lease_ttl.as_secs_f64()).fetch_all(pool).await
}

/// An `ExpiredGrants` is a worker for which Postgres is too slow.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ExpiredGrants {
    pub worker_id: String,
    /// The time of the last heartbeat that reported new expired grants, by the database's clock.
    pub at: DateTime<Utc>,
}

/// Returns the workers that discarded grants in the last ten minutes, at most 20, by name.
pub async fn expired_grants(pool: &PgPool) -> Result<Vec<ExpiredGrants>, sqlx::Error> {
    const EXPIRED: &str = "
        SELECT worker_id, grants_expired_at AS at FROM worker_heartbeats
        WHERE grants_expired_at > clock_timestamp() - interval '10 minutes'
        ORDER BY worker_id LIMIT 20";
    sqlx::query_as(EXPIRED).fetch_all(pool).await
}

/// `Attendance` holds the workers' state that concerns one shard.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Attendance {
    /// The number of workers that wrote a heartbeat recently and did not stop.
    pub working: i64,
    /// The state of the worker that owns the shard; `None` if no such worker does.
    pub owner_state: Option<String>,
}

/// The age of a recent heartbeat: longer than two heartbeat intervals, whatever `WARMUP_HEARTBEAT_MS` is.
const LATELY: Duration = Duration::from_secs(180);

/// Returns the number of running workers, and the state of the worker that owns `shard`.
pub async fn attendance(pool: &PgPool, shard: ShardId) -> Result<Attendance, sqlx::Error> {
    const READ: &str = "
        WITH working AS (
            SELECT worker_id, state FROM worker_heartbeats
            WHERE beat_at > clock_timestamp() - make_interval(secs => $2) AND state <> 'stopped'
        )
        SELECT (SELECT count(*) FROM working) AS working,
               (SELECT w.state FROM shards s JOIN working w ON w.worker_id = s.worker_id WHERE s.shard = $1) AS owner_state";
    sqlx::query_as(READ).bind(shard.0).bind(LATELY.as_secs_f64()).fetch_one(pool).await
}

/// Returns the time of the last heartbeat if no worker runs now; `Some(None)` if no worker ever ran.
pub async fn without_worker(pool: &PgPool) -> Result<Option<Option<DateTime<Utc>>>, sqlx::Error> {
    const READ: &str = "
        SELECT max(beat_at),
               count(*) FILTER (WHERE beat_at > clock_timestamp() - make_interval(secs => $1) AND state <> 'stopped') > 0
        FROM worker_heartbeats";
    let (last, works): (Option<DateTime<Utc>>, bool) =
        sqlx::query_as(READ).bind(LATELY.as_secs_f64()).fetch_one(pool).await?;
    Ok((!works).then_some(last))
}

/// `RefusedResults` counts results that the database refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct RefusedResults {
    /// Results of the last 24 hours that were written in a reduced form.
    pub reduced: i64,
    /// Mails that have been in flight for longer than any mail takes.
    pub stuck: i64,
}

/// Counts the results that the database refused.
pub async fn refused_results(pool: &PgPool, now: DateTime<Utc>) -> Result<RefusedResults, sqlx::Error> {
    const COUNT: &str = "
        SELECT (SELECT count(*) FROM events WHERE kind = 'result-reduced' AND at > $1 - interval '24 hours') AS reduced,
               (SELECT count(*) FROM in_flight WHERE reserved_at < clock_timestamp() - interval '15 minutes') AS stuck";
    sqlx::query_as(COUNT).bind(now).fetch_one(pool).await
}
