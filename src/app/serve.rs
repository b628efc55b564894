//! One process: the worker and what answers beside it, until it is told to stop.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{desk::Desk, keywatch, templates, world};
use crate::{
    adapters::seal::Sealer,
    config::Settings,
    observe::liveness::Liveness,
    ports::{Clock, Entropy},
    worker::{Report, Worker, WorkerSettings},
};

/// How long the connections to Postgres may take to say goodbye. One whose statement hangs (a sweep behind a lock) would
/// keep the process until the server's own time-out, long after everything is settled.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs a worker and what answers at its address until `stop` is cancelled, then ends in order: readiness off, intake
/// closed, what is on its way finished, leases given back, HTTP last. While it waits for servers that are away, it is alive
/// and not ready. `answer` is the HTTP: it lives a floor above.
pub async fn serve<F, Answering>(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    answer: F,
    stop: CancellationToken,
) -> anyhow::Result<Report>
where
    F: FnOnce(TcpListener, Arc<Desk>, CancellationToken) -> Answering,
    Answering: Future<Output = ()> + Send + 'static,
{
    settings.require_all()?;
    let listener = TcpListener::bind(settings.http_addr).await.with_context(|| {
        format!("WARMUP_HTTP_ADDR {} can't be listened on: choose another port", settings.http_addr)
    })?;
    tracing::info!(address = %listener.local_addr()?, "the API and the probes /healthz and /readyz are answered");
    let liveness = Arc::new(Liveness::default());
    let worker = world::worker_settings(settings);
    let desk = Desk::new(settings, worker.worker.clone(), Arc::clone(&clock), Arc::clone(&liveness))?;
    let answering = CancellationToken::new();
    let answers = tokio::spawn(answer(listener, Arc::new(desk), answering.clone()));
    let report = work(settings, worker, clock, entropy, liveness, stop).await;
    answering.cancel();
    let _ = answers.await;
    report
}

async fn work(
    settings: &Settings,
    worker: WorkerSettings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    liveness: Arc<Liveness>,
    stop: CancellationToken,
) -> anyhow::Result<Report> {
    // So that ending here by itself stops nothing else of the caller's.
    let stop = stop.child_token();
    let ports = stop.run_until_cancelled(world::ports(settings, Arc::clone(&clock), entropy)).await;
    let Some(ports) = ports else {
        tracing::info!("stopped before the worker had started");
        return Ok(Report::default());
    };
    let (ports, database) = ports?;
    let texts = templates::texts(settings, &database).await?;
    let key = Sealer::new(settings.require_master_key()?.expose()).key_id();
    let watch = keywatch::watch(database.clone(), key, Arc::clone(&clock), settings.heartbeat, stop.clone());
    let watch = tokio::spawn(watch);
    let worker = Worker::new(ports, worker, liveness).with_texts(texts);
    let report = worker.run(stop.clone()).await;
    // A worker that ended by itself ends its watch.
    stop.cancel();
    let rotated = watch.await.unwrap_or(false);
    tokio::select! {
        biased;
        () = database.close() => {}
        () = clock.pause(GOODBYE) => tracing::warn!("a statement is still running on Postgres: not waiting for it"),
    }
    let report = report?;
    if rotated {
        bail!("WARMUP_MASTER_KEY was rotated away: start with the new key");
    }
    Ok(report)
}
