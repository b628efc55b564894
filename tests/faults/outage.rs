//! Postgres or Redis away: nothing is started meanwhile, nothing is lost, and sending goes on by itself afterwards.

use std::time::Duration;

use warmup_support::{process::Running, proxy::Hold, world::eventually};

use super::{
    host::Moment,
    ledger::{self, Ledger, Watch},
    stage::{Cast, Fixture},
};

const CAST: Cast = Cast { mailboxes: 60, quota: 10 };
const LANES: usize = 4;

/// A rest between batches, so that there is something left to send after an outage.
const STEADY: [(&str, &str); 1] = [("WARMUP_BATCH_DELAY_MS", "200")];

/// Leases and heartbeats have run out several times by then.
const AWAY: Duration = Duration::from_secs(4);

/// The lease's time, two heartbeats, and room for a busy machine.
const BACK: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgres_nothing_is_started_and_sending_goes_on_when_it_is_back() {
    let stage = Fixture::set(CAST, &STEADY).await;
    let worker = sending(&stage).await;
    let before = stage.host.taken();
    stage.proxy.cut();
    stays_silent(&stage, before).await;
    stage.proxy.restore();
    goes_on_and_holds(&stage, worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nothing_is_started_and_sending_goes_on_when_it_is_back_empty() {
    let mut stage = Fixture::set(CAST, &STEADY).await;
    let worker = sending(&stage).await;
    let before = stage.host.taken();
    stage.redis.halt().await;
    stays_silent(&stage, before).await;
    stage.redis.start_again().await.unwrap();
    goes_on_and_holds(&stage, worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_says_nothing_costs_the_worker_its_leases() {
    let stage = Fixture::set(CAST, &STEADY).await;
    let worker = sending(&stage).await;
    let before = stage.host.taken();
    stage.proxy.freeze();
    eventually(BACK, async || stage.members().await == 0).await;
    stays_silent(&stage, before).await;
    stage.proxy.restore();
    goes_on_and_holds(&stage, worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settle_that_hangs_holds_up_the_next_mails_before_too_many_could_be_lost_with_the_worker() {
    let stage = Fixture::set(CAST, &[]).await;
    stage.proxy.hold("-- Settle:", Hold::Question);
    let worker = stage.binary.run();
    stage.expect("a settle is held", &worker, stage.proxy.sprung()).await;
    tokio::time::sleep(AWAY).await;
    let unsettled = ledger::in_flight(stage.pool()).await;
    // Four for each lane, and the batch that was reserved just before.
    assert!(unsettled <= 5 * LANES as i64, "{unsettled} mails are on {LANES} lanes and in no row");
    stage.proxy.release();
    goes_on_and_holds(&stage, worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settle_that_fails_holds_up_the_next_mails() {
    let stage = Fixture::set(CAST, &[]).await;
    let refuse = "ALTER TABLE logs ADD CONSTRAINT refused CHECK (id < 0) NOT VALID";
    sqlx::query(refuse).execute(stage.pool()).await.unwrap();
    let worker = stage.binary.run();
    let arrives = eventually(BACK, async || stage.host.taken() > 0);
    stage.expect("a mail arrives", &worker, arrives).await;
    tokio::time::sleep(AWAY).await;
    let unsettled = ledger::in_flight(stage.pool()).await;
    // Those that were started before the first settle had failed; if that did not hold up others, four for each lane.
    assert!(unsettled < 4 * LANES as i64, "{unsettled} mails are on {LANES} lanes and in no row");
    sqlx::query("ALTER TABLE logs DROP CONSTRAINT refused").execute(stage.pool()).await.unwrap();
    goes_on_and_holds(&stage, worker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_read_only_costs_the_worker_its_shards_until_it_writes_again() {
    let stage = Fixture::set(CAST, &STEADY).await;
    let worker = sending(&stage).await;
    stage.binary.command(&["status"], "").await;
    let before = stage.host.taken();
    stage.read_only(true).await;
    eventually(BACK, async || stage.members().await == 0).await;
    stays_silent(&stage, before).await;
    let why = stage.readiness().await.unwrap_or_default();
    assert!(why.contains("Postgres refuses writes") && why.contains("default_transaction_read_only"), "{why}");
    let status = stage.binary.command(&["status"], "").await;
    assert!(status.contains("the database is read-only"), "{status}");
    let shown = stage.binary.command(&["mailbox", "show", "m0@d0.test"], "").await;
    assert!(shown.contains("the database is read-only"), "{shown}");
    stage.read_only(false).await;
    let log = goes_on_and_holds(&stage, worker).await;
    assert_eq!(log.matches("Postgres refuses writes").count(), 1, "{log}");
    const EVENTS: &str = "SELECT count(*) FROM events WHERE kind = 'writes-refused' AND worker_id IS NOT NULL";
    assert_eq!(ledger::number(stage.pool(), EVENTS).await, 1);
}

/// A worker whose heartbeat hangs on Postgres while its mails are at their hosts.
const SLOW_HOST: [(&str, &str); 2] = [("WARMUP_SMTP_TIMEOUT_MS", "30000"), ("WARMUP_DRAIN_TIMEOUT_MS", "40000")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_whose_lease_has_run_out_is_not_given_its_dot() {
    let stage = Fixture::set(CAST, &SLOW_HOST).await;
    stage.host.hold(Moment::Rcpt);
    let worker = stage.binary.run();
    stage.expect("all lanes are held", &worker, stage.host.held(LANES)).await;
    stage.proxy.freeze();
    eventually(BACK, async || stage.members().await == 0).await;
    stage.host.release();
    eventually(BACK, async || stage.host.sessions() == 0).await;
    assert_eq!(stage.host.taken(), 0, "a mail went out under a lease that had run out");
    stage.proxy.restore();
    goes_on_and_holds(&stage, worker).await;
    const WITHHELD: &str = "SELECT count(*) FROM logs WHERE reason = 'lease-lost'";
    assert_eq!(ledger::number(stage.pool(), WITHHELD).await, LANES as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserve_that_is_answered_after_the_lease_has_run_out_starts_nothing() {
    let stage = Fixture::set(CAST, &SLOW_HOST).await;
    stage.proxy.hold("-- Reserve:", Hold::Answer);
    let worker = stage.binary.run();
    stage.expect("the reserve's answer is held", &worker, stage.proxy.sprung()).await;
    let reserved: Vec<String> =
        sqlx::query_scalar("SELECT message_id FROM in_flight").fetch_all(stage.pool()).await.unwrap();
    stage.proxy.freeze();
    eventually(BACK, async || stage.members().await == 0).await;
    stage.proxy.release();
    stage.proxy.restore();
    goes_on_and_holds(&stage, worker).await;
    const BEGUN: &str = "SELECT count(*) FROM logs WHERE reason = 'lease-lost'";
    assert_eq!(ledger::number(stage.pool(), BEGUN).await, 0, "no connection was opened, so there is no row");
    let journal = stage.host.journal();
    assert!(!reserved.is_empty() && journal.iter().all(|arrival| !reserved.contains(&arrival.message_id)));
}

async fn sending(stage: &Fixture) -> Running {
    let worker = stage.binary.run();
    let sends = eventually(BACK, async || stage.host.taken() >= 10);
    stage.expect("mails are sent", &worker, sends).await;
    worker
}

/// Lets the outage last and looks at the host: of what was in flight, at most a mail a lane has arrived.
async fn stays_silent(stage: &Fixture, before: usize) {
    let lost = async || stage.is_ready().await == Some(false);
    eventually(BACK, lost).await;
    let silent = stage.host.taken();
    assert!(silent <= before + LANES, "{} mails were sent after the outage began", silent - before);
    tokio::time::sleep(AWAY).await;
    assert_eq!(stage.host.taken(), silent, "a mail was started in the outage");
}

/// Returns what the worker logged.
async fn goes_on_and_holds(stage: &Fixture, mut worker: Running) -> String {
    let watch = Watch::over(stage.pool());
    let enough = stage.host.taken() + 10;
    let sends = eventually(BACK, async || stage.host.taken() >= enough);
    stage.expect("sending goes on", &worker, sends).await;
    worker.terminate().await;
    assert!(worker.ended(BACK).await.success(), "{}", worker.log());
    watch.end().await;
    ledger::assert_sums(stage.pool()).await;
    let told = Ledger::read(stage.pool()).await;
    told.assert_tells(&stage.host.journal());
    let lost: Vec<&String> = told.uncertain.iter().collect();
    assert!(lost.is_empty(), "an outage of the ledger makes no answer of a host uncertain: {lost:?}");
    assert_eq!(stage.host.taken(), told.sent.len());
    worker.log()
}
