//! The benchmark runs one production worker over real services at full speed and measures it from outside and
//! inside.
//!
//! ```text
//!   Postgres, Redis ── counters before and after ───────────┐
//!   worker ── ports ── probes around each call ─────────────┼─▶ BenchmarkReport
//!   this process ── CPU time, memory ───────────────────────┘
//! ```
//!
//! The worker is the worker of `warmup run`, with its meters. The caller's settings remove only what makes a day
//! natural: rests and cooldowns; the caps count and never refuse.

mod probe;
mod server_counters;
mod spent;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use serde::Serialize;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use self::{probe::Probe, server_counters::Counts, spent::ProcessUsage};
pub use self::{
    probe::Step,
    server_counters::{Calls, Statement},
    spent::Memory,
};
use super::{instrumented::metered, send_runtime::SendRuntime, wiring};
use crate::{
    adapters::{from_settings, postgres::fleet, seal::Sealer, system::SeededRng},
    config::Settings,
    domain::id::{RunId, UserId, WorkerId},
    observe::{liveness::Liveness, meters::SharedMeters},
    ports::{CapRequest, Clock, ConnectionId},
    worker::{Ports, Worker},
};

/// The time without a settlement after which the benchmark assumes that no further mail comes.
const SILENCE: Duration = Duration::from_secs(15);

/// The time that fills every cap bucket. The longest bucket, of a user or the fleet, needs an hour and some
/// seconds.
const FILLS: Duration = Duration::from_secs(2 * 3600);

/// The result of a benchmark.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BenchmarkReport {
    /// The number of mails to send.
    pub wanted: u64,
    pub sent: u64,
    pub failed: u64,
    /// The reason code and the note of the first failed mail.
    pub first_failure: Option<String>,
    /// The seconds from the first cap request to the last settlement.
    pub seconds: f64,
    pub mails_per_second: f64,
    pub batches: u64,
    /// The durations of each step of a mail or a batch.
    pub steps: Vec<Step>,
    /// The CPU time of this process per mail, user and system together, in milliseconds.
    pub cpu_ms_per_mail: f64,
    /// The statements that Postgres counted (`pg_stat_statements`); `None` if Postgres does not count them.
    pub statements: Option<Calls>,
    /// The script calls that Redis counted (`INFO commandstats`).
    pub evalshas: Calls,
    /// The memory of this process; `None` if the system does not report it.
    pub memory: Option<Memory>,
    /// The contradictions between the database and the report, or within the database; empty if all agree.
    pub disagreements: Vec<String>,
}

/// Runs a worker until it has sent `wanted` mails, and returns its measurements.
///
/// The mailboxes of the database must owe these mails at once. Returns an error when a service is unavailable or
/// unfit, or when the worker refuses to start.
pub async fn send(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    wanted: u64,
    seed: u64,
) -> anyhow::Result<BenchmarkReport> {
    let sealer = Arc::new(Sealer::new(settings.require_master_key()?.expose()));
    let liveness = Arc::new(Liveness::default());
    let (ports, database) =
        wiring::ports(settings, Arc::clone(&clock), Arc::new(SeededRng::seeded(seed)), sealer).await?;
    let fleet = fleet::identity(&database).await.context("which fleet this is")?;
    let redis = from_settings::redis(settings, 1)?;
    let worker = wiring::worker_settings(settings, WorkerId("bench".into()), fleet);
    let meters = SharedMeters::default();
    fill_caps(&ports, &database).await?;
    let probe = Arc::new(Probe::new(Arc::clone(&clock)));
    let ports = probe::around(metered(ports, &meters, &liveness, settings.cron_interval), &probe);
    let sending = SendRuntime::start().context("no thread to send on")?;
    let worker = Worker::new(ports, worker, liveness).with_lanes_on(sending.handle());

    let before = Counts::read(&database, &redis).await?;
    let spent = ProcessUsage::from_here();
    let stop = CancellationToken::new();
    let running = tokio::spawn(worker.run(stop.clone()));
    probe.until_settled(wanted, SILENCE).await;
    let (cpu, memory) = spent.so_far();
    stop.cancel();
    running.await.context("the worker ended badly")??;
    let after = Counts::read(&database, &redis).await?;

    let seen = probe.seen();
    let disagreements = server_counters::disagreements(&database, &before, seen.sent, seen.failed).await?;
    database.close().await;
    let mails = (seen.sent + seen.failed).max(1) as f64;
    Ok(BenchmarkReport {
        wanted,
        sent: seen.sent,
        failed: seen.failed,
        first_failure: seen.first_failure,
        seconds: seen.time.as_secs_f64(),
        mails_per_second: mails / seen.time.as_secs_f64().max(f64::EPSILON),
        batches: seen.batches,
        steps: seen.steps,
        cpu_ms_per_mail: cpu.as_secs_f64() * 1e3 / mails,
        statements: after.statements_since(&before, seen.batches),
        evalshas: after.evalshas_since(&before, seen.batches),
        memory,
        disagreements,
    })
}

/// Fills the cap buckets before the benchmark begins. It sends one cap request with a time hours in the past.
/// The cold buckets refuse that request and fill from then on.
async fn fill_caps(ports: &Ports, database: &PgPool) -> anyhow::Result<()> {
    let users: Vec<i64> = sqlx::query_scalar("SELECT id FROM users").fetch_all(database).await?;
    let run = RunId(ports.entropy.uuid());
    let asks = users.into_iter().zip(0..).map(|(user, number)| CapRequest {
        user: UserId(user),
        host: String::new(),
        slot: ConnectionId { run, number },
    });
    let before = ports.clock.caps_now().map(|now| now - FILLS.as_micros() as i64);
    ports.caps.grant(before, &asks.collect::<Vec<_>>(), &[]).await.context("the caps")?;
    Ok(())
}

/// Returns the number of mailboxes in the database, removed ones included; 0 if the database has no schema yet.
pub async fn mailboxes(database: &PgPool) -> Result<i64, sqlx::Error> {
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass('mailboxes') IS NOT NULL").fetch_one(database).await?;
    match is_there {
        true => sqlx::query_scalar("SELECT count(*) FROM mailboxes").fetch_one(database).await,
        false => Ok(0),
    }
}
