//! Every statement of the ledger at once, from eight callers, over the same rows in orders that differ.
//!
//! A deadlock would be repeated by the session and so stay hidden from the caller; the server's own count shows it.
//! What this proves of the order of locks it proves together with its mutants: without the ordered lock of any one
//! statement the count is not 0.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Days, TimeDelta, Utc};
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;
use warmup::{
    adapters::postgres::{PostgresLedger, PostgresMailboxes},
    domain::{
        id::{FlightId, RunId, ShardId, WorkerId},
        outcome::{Effects, OutcomeKind, Penalty, Stage},
        plan::Candidate,
        time::LocalDates,
    },
    ports::{Flight, Ledger, PlanningStore, Reservation, ReserveBatch, ReserveRequest, Settlement, SweepRequest},
};
use warmup_support::conformance::ledger::{LedgerWorld, Life, ask, end, enrol, noon};

use crate::{
    ledger::{PostgresWorld, racing_world},
    sessions::{end_all_but, waiting},
};

const MAILBOXES: i64 = 240;
const QUOTA: u16 = 3;
const RACERS: usize = 8;
const ROUNDS: usize = 20;
const SHARDS: [ShardId; 4] = [ShardId(0), ShardId(1), ShardId(2), ShardId(3)];
/// Of the one user in four that has one.
const DAILY_LIMIT: u32 = 60;
const NO_ERROR: &str = "no error of a race reaches the caller";

/// One worker among the racers.
struct Racer {
    ledger: Arc<PostgresLedger>,
    mailboxes: PostgresMailboxes,
    worker: WorkerId,
    run: RunId,
    number: usize,
}

impl Racer {
    async fn race(self) {
        for round in 0..ROUNDS {
            // The day turns under the racers every other round.
            let now = noon() + Days::new(round as u64 / 2) + TimeDelta::minutes(round as i64);
            self.mailboxes.roll_over_days(&SHARDS, &LocalDates::at(now), now).await.expect(NO_ERROR);
            let flights = self.reserve(round, now).await;
            let ends: Vec<Settlement> =
                flights.iter().enumerate().map(|(n, f)| ending(f, n + self.number, now)).collect();
            let (early, late) = ends.split_at(ends.len() / 2);
            self.ledger.settle(&self.worker, early).await.expect(NO_ERROR);
            self.sweep(now).await;
            self.ledger.settle(&self.worker, late).await.expect(NO_ERROR);
        }
        self.sweep(noon() + Days::new(ROUNDS as u64)).await;
    }

    /// All that may send, in this racer's own order.
    async fn reserve(&self, round: usize, now: DateTime<Utc>) -> Vec<Flight> {
        let read = self.ledger.epochs(&SHARDS).await.expect(NO_ERROR);
        let mut epochs: Vec<_> = SHARDS.into_iter().zip(read).collect();
        if (round + self.number).is_multiple_of(RACERS) {
            let raised = self.ledger.raise(&self.worker, &epochs).await.expect(NO_ERROR);
            epochs = SHARDS
                .into_iter()
                .zip(raised.into_iter().zip(epochs))
                .map(|(s, (new, (_, old)))| (s, new.unwrap_or(old)))
                .collect();
        }
        let candidates = self.mailboxes.candidates(&SHARDS, &LocalDates::at(now), now).await.expect(NO_ERROR);
        let mut asks: Vec<ReserveRequest> = candidates.iter().map(asked).collect();
        let turn = asks.len() * self.number / RACERS;
        asks.rotate_left(turn);
        if !self.number.is_multiple_of(2) {
            asks.reverse();
        }
        let batch = ReserveBatch { worker: self.worker.clone(), run: self.run, epochs, now, asks };
        let answers = self.ledger.reserve(&batch).await.expect(NO_ERROR).into_iter();
        let flight = |answer| match answer {
            Reservation::Reserved(flight) => Some(*flight),
            Reservation::Refused(_) => None,
        };
        answers.filter_map(flight).collect()
    }

    /// Takes what the others have not settled yet, and what is left of its own.
    async fn sweep(&self, now: DateTime<Utc>) {
        let sweep = SweepRequest {
            worker: self.worker.clone(),
            run: self.run,
            shards: SHARDS.to_vec(),
            running: vec![],
            unstarted: vec![],
            newest: FlightId(i64::MAX),
            older_than: Duration::ZERO,
            now,
        };
        self.ledger.sweep(&sweep).await.expect(NO_ERROR);
    }
}

fn asked(candidate: &Candidate) -> ReserveRequest {
    let id = candidate.id.0;
    let partners: Vec<i64> = (1..MAILBOXES).map(|n| (id + n - 1) % MAILBOXES + 1).collect();
    ReserveRequest { shard: candidate.shard, day: candidate.day, ..ask(id, candidate.attempts, &partners[..20]) }
}

/// Every way to end, and measures against everybody whom an answer can concern.
fn ending(flight: &Flight, n: usize, now: DateTime<Utc>) -> Settlement {
    let fates = [
        OutcomeKind::Sent,
        OutcomeKind::Refused,
        OutcomeKind::Uncertain,
        OutcomeKind::Sent,
        OutcomeKind::Unstarted,
        OutcomeKind::Refused,
        OutcomeKind::Refused,
        OutcomeKind::Refused,
        OutcomeKind::Refused,
        OutcomeKind::Sent,
        OutcomeKind::Refused,
    ];
    let moment = Some(Penalty::Pause(Duration::from_secs(30)));
    let mut settlement = end(flight, fates[n % fates.len()]);
    settlement.outcome.effects = match n % fates.len() {
        1 => Effects { partner: moment, ..Effects::default() },
        5 => Effects { sender: moment, domain: moment, ..Effects::default() },
        6 => Effects { host: moment, partner: moment, ..Effects::default() },
        7 => Effects { host: Some(Penalty::Strike), ..Effects::default() },
        8 => Effects { sender: Some(Penalty::Strike), ..Effects::default() },
        10 => Effects { sender: Some(Penalty::Disable), ..Effects::default() },
        _ => Effects::default(),
    };
    if settlement.outcome.effects.sender == Some(Penalty::Disable) {
        settlement.outcome.stage = Stage::Auth;
    }
    (settlement.at, settlement.next_at) = (now, now);
    settlement
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_statements_at_once_never_deadlock_and_every_number_is_true() {
    let world = racing_world().await;
    for id in 1..=MAILBOXES {
        world.enrol(id, 1 + id % 4, QUOTA, &format!("d{}.test", id % 6), 127).await;
    }
    let spread = "UPDATE mailboxes SET shard = id % 4, smtp_host = 'Mail' || id % 12 || '.test'";
    sqlx::query(spread).execute(world.pool()).await.unwrap();
    world.limit(1, DAILY_LIMIT).await;
    world.ledger().prepare(noon()).await.unwrap();

    let racers: Vec<_> = (0..RACERS).map(|number| tokio::spawn(racer(world.pool().clone(), number).race())).collect();
    for racer in racers {
        racer.await.unwrap();
    }

    let mut afterwards = PgConnection::connect(world.database.url()).await.unwrap();
    assert_eq!(world.in_flight().await, 0);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM logs").fetch_one(&mut afterwards).await.unwrap();
    let untrue: Vec<String> = sqlx::query_scalar(UNTRUE).fetch_all(&mut afterwards).await.unwrap();
    assert!(untrue.is_empty(), "{untrue:?}");
    let most: Option<i64> = sqlx::query_scalar(MOST_OF_THE_LIMITED).fetch_one(&mut afterwards).await.unwrap();
    assert!(most.unwrap_or(0) <= i64::from(DAILY_LIMIT) * 3 / 2, "{most:?}");
    let deadlocks = deadlocks(&world, afterwards).await;
    println!("{RACERS} racers wrote {rows} rows; the server saw {deadlocks} deadlocks");
    assert!(rows > MAILBOXES, "they raced for something");
    assert_eq!(deadlocks, 0);
}

/// A settle that marks partners whose day another worker turns: both want the mailboxes.
#[tokio::test]
async fn a_settle_and_a_turning_day_lock_mailboxes_in_one_order() {
    let world = racing_world().await;
    enrol(&world, 6, 2).await;
    sqlx::query("UPDATE mailboxes SET shard = 1 WHERE id > 3").execute(world.pool()).await.unwrap();
    let life = Life::begin(&world).await;
    world.mailboxes().roll_over_days(&[ShardId(1)], &LocalDates::at(noon()), noon()).await.unwrap();
    let good = "UPDATE mailbox_days SET sent = 2, reserved = 2 WHERE mailbox_id > 3";
    sqlx::query(good).execute(world.pool()).await.unwrap();
    let mut results = Vec::new();
    for mailbox in 1..=3 {
        let mut result = end(&life.fly(ask(mailbox, 0, &[mailbox + 3])).await, OutcomeKind::Refused);
        result.outcome.effects.partner = Some(Penalty::Disable);
        results.push(result);
    }

    let mut holder = PgConnection::connect(world.database.url()).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT FROM mailboxes WHERE id = 4 FOR UPDATE").execute(&mut *held).await.unwrap();
    let (ledger, worker) = (world.ledger(), life.worker.clone());
    let settling = tokio::spawn(async move { ledger.settle(&worker, &results).await.expect(NO_ERROR) });
    waiting(world.pool(), 1).await;
    let (mailboxes, tomorrow) = (world.mailboxes(), noon() + Days::new(1));
    let turning = tokio::spawn(async move {
        mailboxes.roll_over_days(&[ShardId(1)], &LocalDates::at(tomorrow), tomorrow).await.expect(NO_ERROR)
    });
    waiting(world.pool(), 2).await;
    held.rollback().await.unwrap();

    assert_eq!((settling.await.unwrap(), turning.await.unwrap()), (3, 3));
    assert_eq!(deadlocks(&world, holder).await, 0);
}

/// A settle that pauses a host while the operator resumes it: mailboxes first, then pauses, for both.
#[tokio::test]
async fn a_settle_has_its_mailboxes_before_it_takes_a_pause() {
    let world = racing_world().await;
    enrol(&world, 2, 2).await;
    let life = Life::begin(&world).await;
    let mut result = end(&life.fly(ask(1, 0, &[2])).await, OutcomeKind::Refused);
    let pause = Some(Penalty::Pause(Duration::from_secs(600)));
    result.outcome.effects = Effects { sender: pause, host: pause, ..Effects::default() };
    let known = "INSERT INTO pauses (scope, key, reason, since, until)
                 SELECT 'host', 'mail.test', 'host-refused', '2026-11-24', '2026-11-24'";
    sqlx::query(known).execute(world.pool()).await.unwrap();

    let mut resume = PgConnection::connect(world.database.url()).await.unwrap();
    let mut resuming = resume.begin().await.unwrap();
    sqlx::query("SELECT FROM mailboxes WHERE id = 1 FOR UPDATE").execute(&mut *resuming).await.unwrap();
    let (ledger, worker) = (world.ledger(), life.worker.clone());
    let settling = tokio::spawn(async move { ledger.settle(&worker, &[result]).await.expect(NO_ERROR) });
    waiting(world.pool(), 1).await;
    let pause = sqlx::query("SELECT FROM pauses FOR UPDATE NOWAIT").fetch_all(&mut *resuming).await;
    assert_eq!(pause.expect("nobody else has it").len(), 1);
    resuming.rollback().await.unwrap();

    assert_eq!(settling.await.unwrap(), 1);
}

/// A settle that gives a user's place back while another statement has the mailbox: mailboxes first, then the user's day.
#[tokio::test]
async fn a_settle_has_its_mailboxes_before_it_takes_the_users_day() {
    let world = racing_world().await;
    enrol(&world, 2, 2).await;
    world.limit(1, DAILY_LIMIT).await;
    let life = Life::begin(&world).await;
    let mut result = end(&life.fly(ask(1, 0, &[2])).await, OutcomeKind::Refused);
    let pause = Some(Penalty::Pause(Duration::from_secs(600)));
    result.outcome.effects = Effects { sender: pause, ..Effects::default() };

    let mut other = PgConnection::connect(world.database.url()).await.unwrap();
    let mut others = other.begin().await.unwrap();
    sqlx::query("SELECT FROM mailboxes WHERE id = 1 FOR UPDATE").execute(&mut *others).await.unwrap();
    let (ledger, worker) = (world.ledger(), life.worker.clone());
    let settling = tokio::spawn(async move { ledger.settle(&worker, &[result]).await.expect(NO_ERROR) });
    waiting(world.pool(), 1).await;
    let day = sqlx::query("SELECT FROM user_days FOR UPDATE NOWAIT").fetch_all(&mut *others).await;
    assert_eq!(day.expect("nobody else has it").len(), 1);
    others.rollback().await.unwrap();

    assert_eq!(settling.await.unwrap(), 1);
}

/// The deadlocks that this database has seen.
async fn deadlocks(world: &PostgresWorld, mut asking: PgConnection) -> i64 {
    end_all_but(&mut asking, world.pool()).await;
    const DEADLOCKS: &str = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    sqlx::query_scalar(DEADLOCKS).fetch_one(&mut asking).await.unwrap()
}

fn racer(pool: PgPool, number: usize) -> Racer {
    Racer {
        ledger: Arc::new(PostgresLedger::new(pool.clone(), 1.5)),
        mailboxes: PostgresMailboxes::new(pool),
        worker: WorkerId(format!("racer-{number}")),
        run: RunId(Uuid::now_v7()),
        number,
    }
}

/// Days whose counters are not those of their rows, or that hold more than their quota.
const UNTRUE: &str = "
    SELECT concat_ws(' ', d.*::text, l.*::text)
    FROM mailbox_days d
    LEFT JOIN (
        SELECT mailbox_id, day, count(*) FILTER (WHERE status = 'SENT') AS sent,
               count(*) FILTER (WHERE reason <> 'uncertain') AS failed,
               count(*) FILTER (WHERE reason = 'uncertain') AS uncertain
        FROM logs
        GROUP BY mailbox_id, day
    ) AS l ON l.mailbox_id = d.mailbox_id AND l.day = d.day
    WHERE (d.sent, d.failed, d.uncertain)
              IS DISTINCT FROM (COALESCE(l.sent, 0), COALESCE(l.failed, 0), COALESCE(l.uncertain, 0))
       OR d.reserved <> d.sent + d.uncertain
       OR d.reserved > d.quota";

/// The most that the user with a limit has used of one day.
const MOST_OF_THE_LIMITED: &str = "
    SELECT max(n) FROM (
        SELECT sum(d.reserved)::bigint AS n
        FROM mailbox_days d
        JOIN mailboxes m ON m.id = d.mailbox_id AND m.user_id = 1
        GROUP BY d.day
    ) AS days";
