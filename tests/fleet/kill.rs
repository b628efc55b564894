//! kill -9 at twenty instants of a worker's life, over one ledger and one mail host that outlive it.
//!
//! The host journals a mail when it decides to take it; the ledger must agree with that journal whatever was cut off. The
//! instants are reached for certain, not by chance: the host or a gate before Postgres holds the worker there until it is
//! dead.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{PgPool, Row};
use warmup_support::world::{eventually, postgres, redis};

use crate::{
    gate::{Gate, Hold},
    host::{Host, Moment},
    process::{Fleet, Running},
    truth::broken,
};

const MAILBOXES: usize = 100;
const QUOTA: usize = 2;

/// Longer than anything here takes; only a fault waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a worker is killed.
#[derive(Clone, Copy, Debug)]
enum Instant {
    /// When its log says this.
    Said(&'static str),
    /// While Postgres has its request, or has answered it.
    AtGate(Hold),
    /// While the mail host holds it.
    AtHost(Moment),
}

const INSTANTS: [Instant; 20] = [
    Instant::Said("worker started"),
    Instant::Said("acquired shards"),
    Instant::Said("tick"),
    Instant::AtGate(Hold::BeforeReserve),
    Instant::AtGate(Hold::AfterReserve),
    Instant::AtHost(Moment::Greeting),
    Instant::AtHost(Moment::Ehlo),
    Instant::AtHost(Moment::Auth),
    Instant::AtHost(Moment::Mail),
    Instant::AtHost(Moment::Rcpt),
    Instant::AtHost(Moment::Data),
    Instant::AtHost(Moment::Body),
    Instant::AtHost(Moment::DotTaken),
    Instant::AtHost(Moment::DotDropped),
    Instant::AtHost(Moment::DotTaken),
    Instant::AtHost(Moment::DotDropped),
    Instant::AtGate(Hold::BeforeSettle),
    Instant::AtGate(Hold::AfterSettle),
    Instant::AtGate(Hold::AfterReserve),
    Instant::AtGate(Hold::BeforeSettle),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_double_nothing_lose_nothing_and_pass_no_quota() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let gate = Gate::before(database.url()).await;
    let fleet = Fleet::enrol(&database, gate.url(), &cache, host.port(), MAILBOXES, QUOTA, &[]).await;
    kill(&INSTANTS, &fleet, database.pool(), &gate, &host).await;
    assert_agreement(database.pool(), &host.message_ids()).await;
}

/// The same where all that is on its way is a reply.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_among_replies_answer_no_thread_twice() {
    let (database, cache, host) = (postgres().await, redis().await, Host::start().await);
    let gate = Gate::before(database.url()).await;
    let fleet = Fleet::enrol(&database, gate.url(), &cache, host.port(), MAILBOXES, QUOTA, &[]).await;
    sqlx::query("UPDATE mailboxes SET reply_rate = 100").execute(database.pool()).await.unwrap();
    let worker = fleet.start();
    let owed = (MAILBOXES * QUOTA) as i64;
    eventually(PATIENCE, || async { counts(database.pool()).await == (owed, 0) }).await;
    worker.stop().await;
    // The worker may have answered some of its earliest mails itself.
    kill(&INSTANTS[2..], &fleet, database.pool(), &gate, &host).await;
    assert_agreement(database.pool(), &host.message_ids()).await;
    const ENDS: &str = "SELECT state, count(*) FROM scheduled_replies GROUP BY 1 ORDER BY 1";
    let ends: Vec<(String, i64)> = sqlx::query_as(ENDS).fetch_all(database.pool()).await.unwrap();
    println!("replies: {ends:?}");
    let of = |state: &str| ends.iter().find(|(name, _)| name == state).map_or(0, |(_, count)| *count);
    assert!(of("sent") > 0 && of("failed") > 0, "{ends:?}");
    // Half the quota is answered a day, rounded up; the rest lapses.
    assert_eq!((of("sent") + of("failed"), of("waiting") + of("claimed")), (MAILBOXES as i64, 0), "{ends:?}");
    const TWICE: &str =
        "SELECT count(*) FROM (SELECT FROM logs WHERE answers > 0 GROUP BY answers HAVING count(*) > 1) t";
    assert_eq!(sqlx::query_scalar::<_, i64>(TWICE).fetch_one(database.pool()).await.unwrap(), 0);
}

/// Kills a worker at each of the instants, looking at the numbers all the time, and lets another one finish.
async fn kill(instants: &[Instant], fleet: &Fleet, pool: &PgPool, gate: &Gate, host: &Host) {
    let (watch, looked) = watch(pool.clone());
    for (number, instant) in (1..).zip(instants) {
        let worker = fleet.start();
        reach(*instant, &worker, gate, host).await;
        worker.kill().await;
        gate.open();
        host.go_on();
        println!("{number:>2}  {instant:?}: {}", state(pool).await);
    }
    finish(fleet, pool).await;
    watch.abort();
    assert!(looked.load(Ordering::Relaxed) > 100, "the numbers were looked at all the time");
    assert_eq!(broken(pool).await, [""; 0]);
}

/// Arms the trap, waits until the worker is in it.
async fn reach(instant: Instant, worker: &Running, gate: &Gate, host: &Host) {
    let reached = async {
        match instant {
            Instant::Said(words) => worker.says(words).await,
            Instant::AtGate(hold) => gate.hold(hold).await,
            Instant::AtHost(moment) => host.hold(moment).await,
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{instant:?} was never reached"));
}

/// Starts workers until all that is owed has gone and nothing is in flight. Each start sweeps what became old.
async fn finish(fleet: &Fleet, pool: &PgPool) {
    let owed = (MAILBOXES * QUOTA) as i64;
    let done = async {
        loop {
            let worker = fleet.start();
            worker.says("acquired shards").await;
            let quiet = tokio::time::timeout(Duration::from_secs(4), async {
                eventually(PATIENCE, || async { counts(pool).await == (owed, 0) && waiting(pool).await == 0 }).await;
            });
            let done = quiet.await.is_ok();
            worker.stop().await;
            if done {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE * 2, done).await.expect("what is owed goes out in the end");
}

/// (places taken, mails in flight).
async fn counts(pool: &PgPool) -> (i64, i64) {
    const COUNT: &str = "SELECT COALESCE(sum(reserved), 0)::bigint, (SELECT count(*) FROM in_flight) FROM mailbox_days";
    let row = sqlx::query(COUNT).fetch_one(pool).await.unwrap();
    (row.get(0), row.get(1))
}

/// Replies that are not ended. One that fell due since the last look is read by the next worker.
async fn waiting(pool: &PgPool) -> i64 {
    const WAITING: &str = "SELECT count(*) FROM scheduled_replies WHERE state IN ('waiting', 'claimed')";
    sqlx::query_scalar(WAITING).fetch_one(pool).await.unwrap()
}

async fn state(pool: &PgPool) -> String {
    const STATE: &str = "
        SELECT COALESCE(sum(sent), 0)::bigint, COALESCE(sum(failed), 0)::bigint, COALESCE(sum(uncertain), 0)::bigint,
               COALESCE(sum(replied), 0)::bigint, (SELECT count(*) FROM in_flight)
        FROM mailbox_days";
    let row = sqlx::query(STATE).fetch_one(pool).await.unwrap();
    let [sent, failed, uncertain, replied, in_flight] = [0, 1, 2, 3, 4].map(|column| row.get::<i64, _>(column));
    format!("sent {sent}, failed {failed}, uncertain {uncertain}, replied {replied}, in flight {in_flight}")
}

/// Looks at the invariants all the time, and fails the test at the first one that does not hold.
fn watch(pool: PgPool) -> (tokio::task::JoinHandle<()>, Arc<AtomicUsize>) {
    let looked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&looked);
    let task = tokio::spawn(async move {
        loop {
            let broken = broken(&pool).await;
            if !broken.is_empty() {
                eprintln!("broken: {broken:?}");
                std::process::abort();
            }
            count.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    (task, looked)
}

/// The host's journal against the ledger, Message-ID by Message-ID.
async fn assert_agreement(pool: &PgPool, journal: &[String]) {
    let rows: Vec<(String, String, Option<String>)> =
        sqlx::query_as("SELECT message_id, status, reason FROM logs").fetch_all(pool).await.unwrap();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for id in journal {
        *times.entry(id).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "no Message-ID twice at the host");
    let logged: BTreeSet<&str> = rows.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(logged.len(), rows.len(), "no Message-ID twice in the log");
    let of = |wanted: fn(&str, Option<&str>) -> bool| -> BTreeSet<&str> {
        let wanted = |row: &&(String, String, Option<String>)| wanted(&row.1, row.2.as_deref());
        rows.iter().filter(wanted).map(|(id, ..)| id.as_str()).collect()
    };
    let sent = of(|status, _| status != "FAILED");
    let replied = of(|status, _| status == "REPLIED").len();
    let uncertain = of(|_, reason| reason == Some("uncertain"));
    assert!(sent.iter().all(|id| times.contains_key(id)), "only what the host took is SENT or REPLIED");
    let within = times.keys().all(|id| sent.contains(id) || uncertain.contains(id));
    assert!(within, "what the host took is SENT, REPLIED or uncertain");
    let arrived = uncertain.iter().filter(|id| times.contains_key(*id)).count();
    println!(
        "host {} = SENT {} + REPLIED {replied} + uncertain that arrived {arrived} (of {} uncertain); failed {}",
        times.len(),
        sent.len() - replied,
        uncertain.len(),
        rows.len() - sent.len() - uncertain.len()
    );
    assert!(arrived > 0 && arrived < uncertain.len(), "one uncertain mail had arrived and one had not");
}
