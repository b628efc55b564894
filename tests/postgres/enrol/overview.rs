//! What is told of mailboxes and fleet: sums over each mailbox's own today, and why one does not send.

use chrono_tz::Tz;
use uuid::Uuid;
use warmup::{
    adapters::postgres::PostgresLedger,
    domain::{
        id::{RunId, WorkerId},
        time::{Window, today},
    },
    ports::{Heartbeat, Ledger},
    reporting::{
        FleetStatus, MailboxDetail, fleet_status, mailbox_detail, mailbox_statuses, snapshot::SnapshotCache,
        sql::Selection,
    },
};

use super::*;

fn active() -> Window {
    "07:00-22:00".parse().unwrap()
}

async fn detail(pool: &PgPool, email: &str) -> MailboxDetail {
    mailbox_detail(pool, Selection::Email(email), (active(), 1.2), now()).await.unwrap().unwrap()
}

/// Three mailboxes whose todays are three dates or zones, with a day's row each.
async fn around_the_world() -> TestDatabase {
    let database = database().await;
    let file = format!(
        "{HEADER},timezone,ramp_start,window\n\
         a@x.org,{CANARY},h.org,587,Europe/Berlin,30,00:00-24:00\n\
         b@y.org,{CANARY},h.org,587,Pacific/Kiritimati,30,00:00-24:00\n\
         c@z.org,{CANARY},h.org,587,Pacific/Pago_Pago,30,00:00-24:00\n"
    );
    import(database.pool(), &file).await.unwrap();
    // 13:00 UTC: the 25th has begun in Kiritimati; at 09:00 the 23rd has not ended in Pago Pago.
    for (email, zone) in
        [("a@x.org", Tz::Europe__Berlin), ("b@y.org", Tz::Pacific__Kiritimati), ("c@z.org", Tz::Pacific__Pago_Pago)]
    {
        for (at, sent) in [(now(), 10i16), (now() - chrono::Days::new(1), 1)] {
            let row = "INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent, failed, uncertain, attempts) \
                       VALUES ($1, $2, 30, $3 + 2, $3, 1, 1, $3 + 3)";
            let id = id_of(database.pool(), email).await;
            sqlx::query(row).bind(id.0).bind(today(zone, at)).bind(sent).execute(database.pool()).await.unwrap();
        }
    }
    database
}

async fn fleet(pool: &PgPool) -> FleetStatus {
    let (settings, _) = warmup::config::Settings::from_vars(&Default::default()).unwrap();
    fleet_status(pool, &SnapshotCache::for_commands(pool.clone(), COOLDOWN), &settings, now()).await.unwrap()
}

#[tokio::test]
async fn today_is_each_mailboxs_own() {
    let database = around_the_world().await;
    let status = fleet(database.pool()).await;
    assert_eq!((status.today.sent, status.today.failed, status.today.uncertain), (30, 3, 3));
    assert_eq!((status.today.quota, status.mailboxes, status.enabled), (90, 3, 3));
    let days: Vec<String> =
        mailbox_statuses(database.pool(), now()).await.unwrap().iter().map(|mailbox| mailbox.day.to_string()).collect();
    assert_eq!(days, ["2026-11-24", "2026-11-24", "2026-11-23"]);
}

#[tokio::test]
async fn complete_and_behind_are_counted_against_the_plan() {
    let database = around_the_world().await;
    sqlx::query("UPDATE mailbox_days SET sent = 30, reserved = 31 WHERE mailbox_id = $1 AND day = '2026-11-24'")
        .bind(id_of(database.pool(), "b@y.org").await.0)
        .execute(database.pool())
        .await
        .unwrap();
    long_ago(database.pool()).await;
    // a: 10:00 of a day, 10/21 of the plan, 15 owed, 10 sent. b: all sent. c: 22:00 of its day, past the plan.
    let today = fleet(database.pool()).await.today;
    assert_eq!((today.complete, today.behind), (1, 2));
}

/// Lets a worker say of itself that it is in `state`, and have all shards.
async fn worker_with_all_shards(pool: &PgPool, state: &str) {
    sqlx::query(
        "INSERT INTO worker_heartbeats (worker_id, run, beat_at, state) VALUES ('w', gen_random_uuid(), now(), $1)
         ON CONFLICT (worker_id) DO UPDATE SET state = EXCLUDED.state, beat_at = now()",
    )
    .bind(state)
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("UPDATE shards SET worker_id = 'w'").execute(pool).await.unwrap();
}

#[tokio::test]
async fn a_mailbox_says_when_it_sends_next_or_why_not() {
    let database = database().await;
    let pool = database.pool();
    let run = |sql: &'static str| sqlx::query(sql).execute(pool);
    import(pool, &many(1)).await.unwrap();
    let because = async || detail(pool, "M0@d0.example").await.because;
    assert_eq!(because().await, "no other mailbox may exchange mails with it: too few partners");
    import(pool, &many(3)).await.unwrap();
    assert_eq!(because().await, "no worker runs");
    for (state, says) in [
        ("clock-off", "the clock of the worker that has its shard is wrong"),
        ("benched", "the ticks of the worker that has its shard fail"),
        ("running", "it is due"),
    ] {
        worker_with_all_shards(pool, state).await;
        assert!(because().await.starts_with(says), "{state}: {}", because().await);
    }
    run("UPDATE shards SET worker_id = NULL").await.unwrap();
    assert!(because().await.starts_with("no worker has its shard"));
    worker_with_all_shards(pool, "running").await;
    run("INSERT INTO mailbox_days (mailbox_id, day, quota, next_at) SELECT id, '2026-11-24', 3, '2026-11-24T09:07:00Z' FROM mailboxes")
        .await
        .unwrap();
    assert_eq!(because().await, "it cools down after its last mail");
    assert_eq!(detail(pool, "m0@d0.example").await.sends_next_at.unwrap().to_rfc3339(), "2026-11-24T09:07:00+00:00");
    run("UPDATE mailbox_days SET reserved = 3, sent = 3").await.unwrap();
    let full = detail(pool, "m0@d0.example").await;
    assert_eq!((full.because.as_str(), full.status.left), ("the day's quota of 3 is full", 0));
    assert_eq!(full.sends_next_at.unwrap().to_rfc3339(), "2026-11-25T08:00:00+00:00");
    run("INSERT INTO pauses VALUES ('host', 'smtp.d0.example', 'connect-refused', '2026-11-24', '2026-11-26')")
        .await
        .unwrap();
    assert_eq!(because().await, "paused: host: connect-refused");
    run("UPDATE fleet_orders SET running = false").await.unwrap();
    assert_eq!(because().await, "the fleet is stopped");
    run("UPDATE fleet_orders SET set_back_at = now(), set_back = 'its ids went back'").await.unwrap();
    assert!(because().await.starts_with("the fleet is stopped because the database was set back"));
    run("UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused'").await.unwrap();
    let disabled = detail(pool, "m0@d0.example").await;
    assert_eq!((disabled.because.as_str(), disabled.sends_next_at), ("disabled: auth-refused", None));
}

#[tokio::test]
async fn status_names_the_workers_that_do_not_do_their_part_and_no_other() {
    let database = database().await;
    let pool = database.pool();
    let without_worker =
        async || fleet(pool).await.warnings.iter().any(|warning| warning.starts_with("no worker runs"));
    assert!(!without_worker().await, "there is nothing to send");
    import(pool, &many(3)).await.unwrap();
    assert!(without_worker().await);
    sqlx::query(
        "INSERT INTO worker_heartbeats (worker_id, run, beat_at, state)
         SELECT id, gen_random_uuid(), now() - age::interval, state
         FROM (VALUES ('well', '1 second', 'running'), ('off', '1 second', 'clock-off'), ('gone', '40 seconds', 'running'),
                      ('slow', '25 seconds', 'running'), ('ended', '40 seconds', 'stopped'), ('old', '2 hours', 'running'))
              AS each (id, age, state)",
    )
    .execute(pool)
    .await
    .unwrap();
    let warnings = fleet(pool).await.warnings;
    let workers: Vec<&String> = warnings.iter().filter(|warning| warning.starts_with("worker ")).collect();
    let [silent, off] = workers.as_slice() else { panic!("{warnings:?}") };
    assert!(silent.starts_with("worker gone wrote its last heartbeat at "), "{silent}");
    assert!(off.starts_with("worker off takes no shards and closes no day, because its clock disagrees"), "{off}");
    assert!(!without_worker().await);
    sqlx::query("UPDATE worker_heartbeats SET beat_at = beat_at - interval '1 day'").execute(pool).await.unwrap();
    assert!(without_worker().await, "also a day after the last one");
}

#[tokio::test]
async fn status_names_the_workers_that_threw_grants_away_lately() {
    let database = database().await;
    let pool = database.pool();
    let ledger = PostgresLedger::new(pool.clone(), 1.0);
    let beat = async |worker: &str, run: u128, grants_expired: u64| {
        let heartbeat = Heartbeat {
            worker: WorkerId(worker.to_owned()),
            run: RunId(Uuid::from_u128(run)),
            shards: Vec::new(),
            state: "running",
            refused_since: None,
            clock_off: None,
            change: None,
            grants_expired,
            now: now(),
        };
        ledger.heartbeat(&heartbeat).await.unwrap();
    };
    let slowed = async || {
        let warnings = fleet(pool).await.warnings;
        warnings.iter().filter(|warning| warning.contains("threw away what the caps had granted")).count()
    };
    let forget = "UPDATE worker_heartbeats SET grants_expired_at = grants_expired_at - interval '11 minutes'";
    let forget = async || sqlx::query(forget).execute(pool).await.unwrap();
    beat("fast", 1, 0).await;
    beat("slow", 2, 0).await;
    assert_eq!(slowed().await, 0);
    beat("slow", 2, 7).await;
    assert_eq!(slowed().await, 1);
    forget().await;
    beat("slow", 2, 7).await;
    assert_eq!(slowed().await, 0, "nothing new was thrown away");
    beat("slow", 2, 8).await;
    assert_eq!(slowed().await, 1);
    forget().await;
    beat("slow", 3, 1).await;
    assert_eq!(slowed().await, 1, "another run counts from 0");
}

#[tokio::test]
async fn a_mailbox_says_that_its_owner_is_at_the_daily_limit_and_that_its_host_is_slow() {
    let database = database().await;
    let pool = database.pool();
    let run = |sql: &'static str| sqlx::query(sql).execute(pool);
    import(pool, &many(3)).await.unwrap();
    worker_with_all_shards(pool, "running").await;
    run("UPDATE users SET daily_limit = 10").await.unwrap();
    run("INSERT INTO user_days (user_id, day, reserved) SELECT id, '2026-11-24', 11 FROM users").await.unwrap();
    assert_eq!(detail(pool, "m0@d0.example").await.because, "it is due");
    run("UPDATE user_days SET reserved = 12, reached_at = now()").await.unwrap();
    let full = detail(pool, "m0@d0.example").await;
    assert_eq!(full.because, "the daily limit of its owner is reached: 12 of 12 mails and replies are used today",);
    assert_eq!(full.sends_next_at.unwrap().to_rfc3339(), "2026-11-25T08:00:00+00:00");
    assert_eq!(fleet(pool).await.users_at_limit, ["operator@localhost"]);
    // The last mail was refused, and its place is free again.
    run("UPDATE user_days SET reserved = 11").await.unwrap();
    assert_eq!(fleet(pool).await.users_at_limit, [""; 0]);
    // Another date than in UTC.
    run("UPDATE user_days SET reserved = 12, day = '2026-11-23'").await.unwrap();
    assert_eq!(fleet(pool).await.users_at_limit, [""; 0]);
    run("UPDATE mailboxes SET timezone = 'Pacific/Pago_Pago'").await.unwrap();
    assert_eq!(fleet(pool).await.users_at_limit, ["operator@localhost"]);
    run("UPDATE mailboxes SET timezone = 'UTC'").await.unwrap();
    run("DELETE FROM user_days").await.unwrap();

    run("INSERT INTO slow_hosts VALUES ('smtp.d0.example', 'w1', '2026-11-24T08:40:00Z', '2026-11-24T08:55:00Z')")
        .await
        .unwrap();
    let slow = detail(pool, "m0@d0.example").await;
    assert_eq!(
        slow.because,
        "it is due; its mail host has not answered in time since 2026-11-24 08:40 UTC, so few mails are sent to it at once",
    );
    assert_eq!(fleet(pool).await.slow_hosts[0].host, "smtp.d0.example");
    run("UPDATE slow_hosts SET seen_at = '2026-11-24T08:00:00Z'").await.unwrap();
    assert_eq!(detail(pool, "m0@d0.example").await.because, "it is due", "who said so is gone");
}

#[tokio::test]
async fn a_mailbox_without_a_partner_that_receives_says_so() {
    let database = database().await;
    let pool = database.pool();
    let run = |sql: &'static str| sqlx::query(sql).execute(pool);
    import(pool, &many(3)).await.unwrap();
    worker_with_all_shards(pool, "running").await;
    run("UPDATE mailboxes SET state = 'paused', reason = 'operator' WHERE email = 'm1@d0.example'").await.unwrap();
    run("UPDATE mailboxes SET receives = false, receive_reason = 'partner-full', receive_until = '2026-11-25' \
         WHERE email = 'm2@d0.example'")
    .await
    .unwrap();
    let alone = detail(pool, "m0@d0.example").await;
    assert_eq!(alone.because, "no partner can receive: of 2 others all are paused, disabled or excluded");
    run("UPDATE mailboxes SET receive_until = '2026-11-24T09:00:00Z' WHERE email = 'm2@d0.example'").await.unwrap();
    assert_eq!(detail(pool, "m0@d0.example").await.because, "it is due");
    assert!(detail(pool, "m2@d0.example").await.receives);
    run("INSERT INTO received_days (day, mailbox_id, received) SELECT '2026-11-24', id, 4000 FROM mailboxes")
        .await
        .unwrap();
    let full = detail(pool, "m0@d0.example").await;
    assert_eq!(
        full.because,
        "no partner can receive: all have received as many mails as they may today; it goes on with their next day"
    );
}

#[tokio::test]
async fn a_mailbox_says_what_it_owes_what_happened_and_what_to_do() {
    let database = database().await;
    let pool = database.pool();
    let run = |sql: &'static str| sqlx::query(sql).execute(pool);
    import(pool, &many(3)).await.unwrap();
    long_ago(pool).await;
    // 10:00 of 09:00-17:00: an hour of the seven in which 28 are planned.
    run("INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent) SELECT id, '2026-11-24', 28, 1, 1 FROM mailboxes")
        .await
        .unwrap();
    let healthy = detail(pool, "m0@d0.example").await;
    assert_eq!((healthy.planned_by_now, healthy.owed_now, healthy.advice), (4, 3, None));
    let kinds: Vec<&str> = healthy.last_events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["mailbox-enrolled"]);
    run("INSERT INTO pauses VALUES ('host', 'smtp.d0.example', 'auth-breaker', '2026-11-24', '2026-11-26')")
        .await
        .unwrap();
    let held = detail(pool, "m0@d0.example").await.advice.unwrap();
    assert!(held.contains("warmup mailbox resume --host smtp.d0.example"), "{held}");
    run("UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused'").await.unwrap();
    let disabled = detail(pool, "m0@d0.example").await.advice.unwrap();
    assert!(
        disabled.contains("set m0@d0.example --password") && disabled.contains("resume m0@d0.example"),
        "{disabled}"
    );
}

#[tokio::test]
async fn a_pause_that_is_over_is_no_pause() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &many(2)).await.unwrap();
    let pause = "UPDATE mailboxes SET state = 'paused', reason = 'sender-daily-limit', paused_until = $1";
    sqlx::query(pause).bind(now() + chrono::TimeDelta::hours(1)).execute(pool).await.unwrap();
    let status = fleet(pool).await;
    assert_eq!((status.paused, status.enabled), (2, 0));
    sqlx::query(pause).bind(now()).execute(pool).await.unwrap();
    let status = fleet(pool).await;
    assert_eq!((status.paused, status.enabled), (0, 2));
}

#[tokio::test]
async fn removed_mailboxes_are_not_listed_but_shown() {
    let database = database().await;
    import(database.pool(), &many(2)).await.unwrap();
    worker_with_all_shards(database.pool(), "running").await;
    let remove =
        "UPDATE mailboxes SET state = 'removed', reason = 'operator', sealed_password = NULL WHERE email LIKE 'm1@%'";
    sqlx::query(remove).execute(database.pool()).await.unwrap();
    assert_eq!(mailbox_statuses(database.pool(), now()).await.unwrap().len(), 1);
    let status = fleet(database.pool()).await;
    assert_eq!(status.warnings, ["m0@d0.example is the only mailbox: it sends nothing until there is another"]);
    let removed = detail(database.pool(), "m1@d0.example").await;
    assert_eq!((removed.because.as_str(), removed.sealed_under), ("removed: operator", None));
}

#[tokio::test]
async fn a_mailbox_says_what_it_is_still_to_answer() {
    let database = around_the_world().await;
    assert_eq!(detail(database.pool(), "a@x.org").await.replies_owed, 0);
    const THREADS: &str = "
        INSERT INTO scheduled_replies (id, mailbox_id, partner_id, due_at, until, message_id, subject, state)
        SELECT n, $1, $1 + 1, $2 + n * interval '1 hour', $2 + interval '9 hours', n || '@y.org', 'Notes', state
        FROM (VALUES (1, 'sent'), (2, 'waiting'), (3, 'waiting')) AS thread (n, state)";
    let id = id_of(database.pool(), "a@x.org").await;
    sqlx::query(THREADS).bind(id.0).bind(now()).execute(database.pool()).await.unwrap();
    let told = detail(database.pool(), "a@x.org").await;
    assert_eq!((told.replies_owed, told.replies_next_at), (2, Some(now() + chrono::TimeDelta::hours(2))));
}

/// A host whose breaker is open: who was disabled by it returns with it, the others wait for one that tries, and the status says it.
#[tokio::test]
async fn a_mailbox_behind_an_open_breaker_says_what_ends_it() {
    let database = around_the_world().await;
    let pool = database.pool();
    let a = id_of(pool, "a@x.org").await;
    let disabled = "UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused' WHERE id = $1";
    sqlx::query(disabled).bind(a.0).execute(pool).await.unwrap();
    let open = "INSERT INTO pauses (scope, key, reason, since, until, refused, probing)
        VALUES ('host', 'h.org', 'auth-breaker', $1 - interval '2 hours', $1 + $2 * interval '1 hour', $3, true)
        ON CONFLICT (scope, key) DO UPDATE SET until = EXCLUDED.until";
    let refused = serde_json::json!({ a.0.to_string(): now() });
    let open_for = async |hours: f64| {
        sqlx::query(open).bind(now()).bind(hours).bind(&refused).execute(pool).await.unwrap();
    };

    open_for(1.0).await;
    let shown = detail(pool, "b@y.org").await;
    assert_eq!(shown.status.until, Some(now() + chrono::TimeDelta::hours(1)));
    let told = fleet(pool).await.warnings;
    assert!(told[0].starts_with("mail host h.org is paused until 2026-11-24 10:00 UTC (auth-breaker)"), "{told:?}");
    assert!(told[0].contains("1 disabled mailbox returns when it lets one in"), "{told:?}");

    open_for(-1.0).await;
    let shown = detail(pool, "b@y.org").await;
    assert_eq!((shown.sends_next_at, shown.status.until), (None, None), "one mailbox at a time tries");
    assert!(shown.because.contains("one mailbox at a time tries"), "{}", shown.because);
    let advice = detail(pool, "a@x.org").await.advice.unwrap();
    assert!(advice.contains("returns by itself when h.org lets a mailbox in"), "{advice}");
    assert!(fleet(pool).await.warnings[0].contains("lets nobody in"), "its pause is over, its breaker is not");
}
