//! One process: the probes and the worker, until it is told to stop.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{keywatch, templates, world};
use crate::{
    adapters::{postgres::fleet, seal::Sealer},
    api,
    config::Settings,
    observe::liveness::Liveness,
    ports::{Clock, Entropy},
    worker::{Report, Worker},
};

/// How long the connections to Postgres may take to say goodbye. One whose statement hangs (a sweep behind a lock) would
/// keep the process until the server's own time-out, long after everything is settled.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs a worker and its probes until `stop` is cancelled, then ends in order: readiness off, intake closed, what is on
/// its way finished, leases given back, probes last. While it waits for servers that are away, it is alive and not ready.
pub async fn serve(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
) -> anyhow::Result<Report> {
    settings.require_all()?;
    let listener = TcpListener::bind(settings.http_addr).await.with_context(|| {
        format!("WARMUP_HTTP_ADDR {} can't be listened on: choose another port", settings.http_addr)
    })?;
    tracing::info!(address = %listener.local_addr()?, "probes are answered on /healthz and /readyz");
    let liveness = Arc::new(Liveness::default());
    let probing = CancellationToken::new();
    let probes = tokio::spawn(api::probes(
        listener,
        Arc::clone(&liveness),
        Arc::clone(&clock),
        settings.lease_ttl,
        probing.clone(),
    ));
    let report = work(settings, clock, entropy, liveness, stop).await;
    probing.cancel();
    let _ = probes.await;
    report
}

async fn work(
    settings: &Settings,
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
    let fleet = fleet::identity(&database).await.context("which fleet this is")?;
    let worker = Worker::new(ports, world::worker_settings(settings, fleet), liveness).with_texts(texts);
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
