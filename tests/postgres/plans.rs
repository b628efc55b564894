//! A batch must cost what a batch costs, however many mailboxes the fleet has: no statement that a mail needs may read a
//! table from end to end. Postgres counts those scans itself, so what counts here are the statements as they are sent,
//! with the plans that the server makes for the values at hand and with those that it makes for any.

use std::time::Duration;

use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;
use warmup::{
    adapters::postgres::PostgresLedger,
    domain::{
        id::RunId,
        outcome::{Effects, OutcomeKind, Penalty},
    },
    ports::{Ledger, Reservation, ReserveBatch, Settlement},
};
use warmup_support::conformance::ledger::{LedgerWorld, Life, ask, end, enrol, noon};

use crate::{
    ledger::{PostgresWorld, racing_world},
    sessions::end_all_but,
};

const MAILBOXES: i64 = 20_000;
const BATCH: i64 = 50;
/// With each kind of plan.
const BATCHES: i64 = 6;

#[tokio::test]
async fn no_statement_of_a_mail_reads_a_table_from_end_to_end() {
    let world = racing_world().await;
    fill(&world).await;
    let life = Life::begin(&world).await;
    let mut counting = PgConnection::connect(world.database.url()).await.unwrap();
    sqlx::raw_sql("ANALYZE; CREATE EXTENSION pg_stat_statements").execute(&mut counting).await.unwrap();
    let before = scans(&world, &mut counting).await;

    for (half, plans) in (0..).zip(["force_custom_plan", "force_generic_plan"]) {
        let options: PgConnectOptions = world.database.url().parse().unwrap();
        let options = options.options([("plan_cache_mode", plans)]);
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let ledger = PostgresLedger::new(pool.clone(), 1.5);
        for batch in 0..BATCHES {
            send(&ledger, &life, half * BATCHES + batch).await;
        }
        pool.close().await;
        assert_eq!(scans(&world, &mut counting).await, before, "(table, scans from end to end) with {plans}");
    }
    assert_eq!(calls(&mut counting).await, 2 * BATCHES * 5, "what was counted are these statements");
}

/// With a retention of 90 days, a settle that locked the partitions of all days would fill the server's lock table. One that
/// comes late reads the log too.
#[tokio::test]
async fn a_settle_locks_no_partition_but_its_days() {
    let world = racing_world().await;
    enrol(&world, 2, 30).await;
    let life = Life::begin(&world).await;
    sqlx::query("SELECT ensure_log_partitions('2026-08-26', '2026-12-08')").execute(world.pool()).await.unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect(world.database.url()).await.unwrap();
    let ledger = PostgresLedger::new(pool, 1.5);
    let mut round = 0..;
    let mut fly = async || {
        let round = round.next().unwrap_or_default();
        let mut ask = ask(1, round as u16, &[2]);
        ask.choices[0].round = round;
        let flight = life.fly(ask).await;
        let mut sweep = life.sweep_of(RunId(Uuid::now_v7()), vec![]);
        sweep.older_than = Duration::ZERO;
        assert_eq!(ledger.sweep(&sweep).await.unwrap().uncertain, 1);
        [end(&flight, OutcomeKind::Sent)]
    };
    for _ in 0..7 {
        assert_eq!(ledger.settle(&life.worker, &fly().await).await.unwrap(), 1);
    }

    let (worker, results) = (life.worker.clone(), fly().await);
    let mut held = world.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM mailbox_days FOR UPDATE").execute(&mut *held).await.unwrap();
    let settling = tokio::spawn(async move { ledger.settle(&worker, &results).await });
    const LOCKED: &str = "
        SELECT count(DISTINCT c.relname) FILTER (WHERE c.relname ~ '^logs_\\d+$')
        FROM pg_locks l
        JOIN pg_class c ON c.oid = l.relation
        WHERE l.pid = (SELECT pid FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock')
        HAVING count(*) > 0";
    let mut locked: Option<i64> = None;
    while locked.is_none() {
        locked = sqlx::query_scalar(LOCKED).fetch_optional(world.pool()).await.unwrap();
    }
    held.rollback().await.unwrap();
    assert_eq!(settling.await.unwrap().unwrap(), 1);
    assert_eq!(locked, Some(1));
}

/// 20,000 mailboxes that have sent 10 of 30 mails each.
async fn fill(world: &PostgresWorld) {
    world.enrol(1, 1, 30, "d1.test", 127).await;
    world.ledger().prepare(noon()).await.unwrap();
    const FILL: &str = "
        INSERT INTO mailboxes (id, user_id, email, domain, username, sealed_password, smtp_host, smtp_port,
                               smtp_security, timezone, window_start, window_end, days, ramp_start, ramp_step,
                               daily_max, reply_rate, shard, verified_by)
        SELECT id, 1, 'box' || id || '@d.test', 'd.test', 'box', 'sealed', 'mail.test', 465, 'tls', 'UTC', 0, 1440, 127,
               30, 0, 30, 0, CASE WHEN id <= 2000 THEN 0 ELSE id % 15 + 1 END, 'admin'
        FROM generate_series(2, 20000) AS id;
        INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent, attempts)
        SELECT id, '2026-11-24', 30, 10, 10, 10 FROM mailboxes;
        INSERT INTO received_days (day, mailbox_id, received) SELECT '2026-11-24', id, 10 FROM mailboxes;
        INSERT INTO pairs (day, mailbox_id, partner_id, round)
        SELECT '2026-11-24', id, (id + k) % 20000 + 1, 0 FROM mailboxes, generate_series(1000, 1009) AS k;
        INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, worker_id)
        SELECT nextval('flight_ids'), '2026-11-24 10:00Z', day, mailbox_id, partner_id, 's', 'r', 'subject', 'id', 'SENT',
               'filler'
        FROM pairs";
    sqlx::raw_sql(FILL).execute(world.pool()).await.unwrap();
}

/// One batch through everything that can happen to it: reserved, some released, swept, settled late.
async fn send(ledger: &PostgresLedger, life: &Life<'_>, number: i64) {
    let asks: Vec<_> = (1..=BATCH)
        .map(|n| {
            let mailbox = number * BATCH + n;
            let partners: Vec<i64> = (1..=16).map(|k| (mailbox + k) % MAILBOXES + 1).collect();
            ask(mailbox, 10, &partners)
        })
        .collect();
    let unanswered: Vec<String> = asks[..6].iter().map(|ask| ask.message_id.clone()).collect();
    let batch: ReserveBatch = life.batch(asks);
    let answers = ledger.reserve(&batch).await.unwrap();
    let results: Vec<Settlement> = answers.iter().zip(0..).map(|(answer, n)| ended(answer, n)).collect();
    assert_eq!(ledger.release(life.run, &unanswered, noon()).await.unwrap(), 6);
    let mut sweep = life.sweep_of(RunId(Uuid::now_v7()), vec![]);
    sweep.older_than = Duration::ZERO;
    assert_eq!(ledger.sweep(&sweep).await.unwrap().uncertain, 44);
    assert_eq!(ledger.settle(&life.worker, &results[6..]).await.unwrap(), 44);
}

fn ended(answer: &Reservation, n: usize) -> Settlement {
    let Reservation::Reserved(flight) = answer else { panic!("{answer:?}") };
    let moment = Some(Penalty::Pause(Duration::from_secs(1)));
    let mut settlement = end(flight, if n.is_multiple_of(4) { OutcomeKind::Refused } else { OutcomeKind::Sent });
    if n.is_multiple_of(8) {
        // Long over when the next batch is reserved.
        settlement.at = noon() - chrono::TimeDelta::hours(1);
        settlement.outcome.effects = Effects { sender: moment, partner: moment, host: moment, domain: moment };
    }
    settlement
}

/// Scans from end to end of each table that grows with the fleet.
async fn scans(world: &PostgresWorld, counting: &mut PgConnection) -> Vec<(String, i64)> {
    end_all_but(counting, world.pool()).await;
    const SCANS: &str = "
        SELECT relname::text, seq_scan
        FROM pg_stat_user_tables
        WHERE relname IN ('mailboxes', 'mailbox_days', 'pairs', 'received_days') OR relname LIKE 'logs%'
        ORDER BY relname";
    sqlx::query_as(SCANS).fetch_all(counting).await.unwrap()
}

/// Returns how often the ledger's statements ran, and prints what one took.
async fn calls(counting: &mut PgConnection) -> i64 {
    const TIMES: &str = "
        SELECT substring(s.query from '-- (\\w+):'), s.calls, s.mean_exec_time
        FROM pg_stat_statements s
        JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database()
        WHERE s.query ~ '^-- (Reserve|Settle|Release|Sweep):'
        ORDER BY 1";
    let times: Vec<(String, i64, f64)> = sqlx::query_as(TIMES).fetch_all(counting).await.unwrap();
    for (name, calls, milliseconds) in &times {
        println!("{name}: {milliseconds:.2} ms on average of {calls} batches of {BATCH} among {MAILBOXES} mailboxes");
    }
    times.iter().map(|(_, calls, _)| calls).sum()
}
