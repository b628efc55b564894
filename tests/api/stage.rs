//! A morning: two owners with two mailboxes each, a worker that leads, and a batch that is over.
//!
//! It is 10:30 of a day from 09:00 to 17:00, so 3/14 of each quota of 28 should have gone: 6 mails.

use std::time::Duration;

use warmup::{
    adapters::{
        redis::{RedisLeases, RedisMembers},
        seal::Sealer,
    },
    admin::import::{Options, import},
    domain::{
        enrolment::Rules,
        id::{RunId, WorkerId},
    },
    ports::{LeaseKey, Leases, MemberStatus, MembershipStore},
};
use warmup_support::redis_server::connect;

use crate::client::{World, now};

/// What nobody but Ben may read: it stands in all of his addresses.
pub const BEN: &str = "ben";

const CSV: &str = "\
email,password,smtp_host,smtp_port,user,ramp_start,daily_max,display_name
a1@x.test,canary,smtp.x.test,587,ann@x.test,28,28,Anna
a2@x.test,canary,smtp.x.test,587,ann@x.test,28,28,
b1@ben.test,canary,smtp.ben.test,587,boss@ben.test,28,28,
b2@ben.test,canary,smtp.ben.test,587,boss@ben.test,28,28,
";

const DAYS: &str = "
    INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent, failed, uncertain, replied, last_sent_at, latency_ms,
                              timed, hour, hour_sent, hour_before, closed)
    VALUES (1, '2026-11-24', 28, 6, 6, 0, 0, 2, '2026-11-24T10:29:30Z', 3000, 6, '2026-11-24T10:00:00Z', 2, 4, false),
           (2, '2026-11-24', 28, 4, 3, 1, 1, 0, '2026-11-24T10:20:00Z', 0, 0, '2026-11-24T09:00:00Z', 3, 0, false),
           (3, '2026-11-24', 28, 28, 28, 0, 0, 0, '2026-11-24T10:10:00Z', 28000, 28, '2026-11-24T10:00:00Z', 28, 0, false),
           (3, '2026-11-23', 28, 28, 28, 0, 0, 0, '2026-11-23T15:00:00Z', 28000, 28, NULL, 0, 0, true),
           (3, '2026-11-21', 28, 20, 20, 0, 0, 0, '2026-11-21T15:00:00Z', 0, 0, NULL, 0, 0, true),
           (1, '2026-11-23', 28, 9, 9, 3, 0, 0, '2026-11-23T15:00:00Z', 9000, 9, NULL, 0, 0, true)";

const LOGS: &str = "
    INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, reason,
                      smtp_code, enhanced_code, latency_ms, worker_id, notes)
    VALUES (1, '2026-11-24T09:05:00Z', '2026-11-24', 1, 2, 'a1@x.test', 'a2@x.test', 'One', '1@x.test', 'SENT', NULL, 250,
            '2.0.0', 400, 'w1', 'queued'),
           (2, '2026-11-24T09:06:00Z', '2026-11-24', 1, 3, 'a1@x.test', 'b1@ben.test', 'Two', '2@x.test', 'SENT', NULL, 250,
            NULL, 500, 'w1', 'b1@ben.test queued'),
           (3, '2026-11-24T09:07:00Z', '2026-11-24', 3, 1, 'b1@ben.test', 'a1@x.test', 'Three', '3@ben.test', 'FAILED',
            'uncertain', NULL, NULL, NULL, 'w1', NULL)";

/// Sets the stage. The mailboxes have the ids 1 to 4; the last one is disabled.
pub async fn morning() -> World {
    let world = World::start().await;
    let pool = world.pool();
    let rules = Rules { timezone: chrono_tz::UTC, daily_max: 30, allow_plaintext: false, allow_private_hosts: false };
    let options = Options { now: now(), dry_run: false, progress: &|_, _| {} };
    let key: [u8; 32] = std::array::from_fn(|at| at as u8);
    // An import makes them in any order; so Ann is 2 and Ben 3.
    let users = "INSERT INTO users (email) VALUES ('ann@x.test'), ('boss@ben.test')";
    sqlx::query(users).execute(pool).await.unwrap();
    import(pool, &Sealer::new(&key), &rules, CSV.as_bytes(), &options).await.unwrap();
    for statement in [
        DAYS,
        LOGS,
        "UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused' WHERE id = 4",
        // They were enrolled on an earlier day.
        "UPDATE mailboxes SET enrolled_at = enrolled_at - interval '9 days', able_since = NULL",
        "INSERT INTO batches (worker_id, started_at, finished_at, processed, sent, replied, failed, uncertain)
         VALUES ('w1', '2026-11-24T10:20:00Z', '2026-11-24T10:20:30Z', 48, 46, 2, 1, 1)",
        "INSERT INTO events (at, kind, mailbox_id, reason, detail)
         VALUES ('2026-11-24T10:00:00Z', 'sender-disabled', 4, 'auth-refused', ''),
                ('2026-11-24T10:01:00Z', 'mail-alert', 1, 'unknown-5yz', '550 b1@ben.test: no')",
    ] {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    beat(&world).await;
    world
}

/// Lets the worker `w1` say that it lives and leads.
async fn beat(world: &World) {
    let redis = connect(&world.redis.url(), 2).await.unwrap();
    let status = MemberStatus {
        id: WorkerId("w1".to_owned()),
        host: "machine".to_owned(),
        version: "0.1.0".to_owned(),
        shards: 8,
        lanes: 20,
        queue_size: 3,
        active_sends: 1,
        last_tick: Some("2026-11-24T10:30:00Z".parse().unwrap()),
        consecutive_failures: 2,
        state: "running".to_owned(),
        ..MemberStatus::default()
    };
    let (run, ttl) = (RunId(uuid::Uuid::from_u128(1)), Duration::from_secs(600));
    RedisMembers::new(redis.clone(), "warmup").heartbeat(run, &status, LeaseKey::Solo, &[], ttl).await.unwrap();
    RedisLeases::new(redis, "warmup").acquire(run, &[LeaseKey::Leader], ttl).await.unwrap();
}
