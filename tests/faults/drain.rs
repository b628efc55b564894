//! SIGTERM while mails are on their way: not ready any more, everything finished or settled in time, leases given back,
//! exit 0.

use std::time::Duration;

use warmup_support::{process::Running, proxy::Hold, world::eventually};

use super::{
    host::Moment,
    ledger::{self, Ledger},
    stage::{Cast, Fixture},
};

const CAST: Cast = Cast { mailboxes: 12, quota: 3 };
const LANES: usize = 4;

/// Longer than the drain's whole deadline, shorter than what a worker would wait that had none.
const IN_TIME: Duration = Duration::from_secs(20);

const LONGER_THAN_A_LEASE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_worker_waits_for_the_answers_to_its_mails() {
    // Time enough for the test to see the drain before it gives up.
    let patient = [("WARMUP_DRAIN_TIMEOUT_MS", "30000"), ("WARMUP_SMTP_TIMEOUT_MS", "20000")];
    let stage = Fixture::set(CAST, &patient).await;
    let mut worker = hold_at(&stage, Moment::Taken).await;
    assert_eq!(stage.is_ready().await, Some(true));
    worker.terminate().await;
    eventually(IN_TIME, async || stage.is_ready().await == Some(false)).await;
    assert!(worker.is_alive(), "it waits for its mails");
    stage.host.release();
    let told = ended_well(&stage, &mut worker).await;
    assert_eq!((told.sent.len(), told.uncertain.len(), told.failed.len()), (LANES, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_worker_keeps_its_leases_until_its_mails_are_through() {
    let patient = [("WARMUP_DRAIN_TIMEOUT_MS", "30000"), ("WARMUP_SMTP_TIMEOUT_MS", "20000")];
    let stage = Fixture::set(CAST, &patient).await;
    let mut worker = hold_at(&stage, Moment::Rcpt).await;
    worker.terminate().await;
    eventually(IN_TIME, async || stage.is_ready().await == Some(false)).await;
    tokio::time::sleep(LONGER_THAN_A_LEASE).await;
    assert!(stage.leases().await > 0, "it renews them");
    stage.host.release();
    let told = ended_well(&stage, &mut worker).await;
    assert_eq!((told.sent.len(), told.failed.len()), (LANES, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_before_its_dot_is_given_up_definitely_when_the_drain_is_over() {
    let stage = Fixture::set(CAST, &[]).await;
    let mut worker = hold_at(&stage, Moment::Rcpt).await;
    worker.terminate().await;
    let told = ended_well(&stage, &mut worker).await;
    assert_eq!((told.sent.len(), told.uncertain.len(), told.failed.len()), (0, 0, LANES));
    assert_eq!(ledger::reserved(stage.pool()).await, 0, "the places are given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_never_answers_the_dot_does_not_hold_up_the_stop() {
    let stage = Fixture::set(CAST, &[]).await;
    let mut worker = hold_at(&stage, Moment::Taken).await;
    worker.terminate().await;
    let told = ended_well(&stage, &mut worker).await;
    assert_eq!((told.sent.len(), told.uncertain.len(), told.failed.len()), (0, LANES, 0));
    assert_eq!(ledger::reserved(stage.pool()).await, LANES as i64, "nobody knows, so the places stay taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_is_locked_does_not_hold_up_the_stop() {
    let stage = Fixture::set(CAST, &[]).await;
    let mut lock = stage.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE in_flight, mailbox_days IN EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let mut worker = stage.binary.run();
    // Two sweeps, and the tick of the acquired shards.
    let waits = eventually(IN_TIME, async || ledger::waiting_for_locks(stage.pool()).await >= 3);
    stage.expect("the tick waits for the lock", &worker, waits).await;
    worker.terminate().await;
    let status = worker.ended(IN_TIME).await;
    assert!(status.success(), "{status}:\n{}", worker.log());
    lock.commit().await.unwrap();
    assert_eq!((stage.host.taken(), stage.leases().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserve_that_hangs_does_not_hold_up_the_stop_and_what_it_took_is_given_back() {
    let stage = Fixture::set(CAST, &[("WARMUP_DRAIN_TIMEOUT_MS", "12000")]).await;
    stage.proxy.hold("-- Reserve:", Hold::Answer);
    let mut worker = stage.binary.run();
    stage.expect("the reserve's answer is held", &worker, stage.proxy.sprung()).await;
    assert!(ledger::in_flight(stage.pool()).await > 0, "it has reserved");
    worker.terminate().await;
    eventually(IN_TIME, async || stage.is_ready().await == Some(false)).await;
    stage.proxy.release();
    let told = ended_well(&stage, &mut worker).await;
    assert_eq!((stage.host.taken(), told.sent.len(), told.uncertain.len(), told.failed.len()), (0, 0, 0, 0));
    assert_eq!(ledger::reserved(stage.pool()).await, 0, "the places are given back");
}

/// Starts a worker and returns once all its lanes are held at `moment`.
async fn hold_at(stage: &Fixture, moment: Moment) -> Running {
    stage.host.hold(moment);
    let worker = stage.binary.run();
    stage.expect("all lanes are held", &worker, stage.host.held(LANES)).await;
    worker
}

/// Waits for a clean end and returns what the ledger tells.
async fn ended_well(stage: &Fixture, worker: &mut Running) -> Ledger {
    let status = worker.ended(IN_TIME).await;
    assert!(status.success(), "{status}:\n{}", worker.log());
    assert_eq!(stage.leases().await, 0, "the leases are given back");
    assert_eq!(ledger::in_flight(stage.pool()).await, 0);
    ledger::assert_sums(stage.pool()).await;
    let told = Ledger::read(stage.pool()).await;
    told.assert_tells(&stage.host.journal());
    told
}
