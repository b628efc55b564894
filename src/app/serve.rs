//! One process: the worker and what answers beside it, until it is told to stop.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{capacity, desk::Desk, keywatch, metered::metered, pushing, sending::SendingThread, templates, world};
use crate::{
    adapters::{postgres::fleet, seal::Sealer},
    config::Settings,
    domain::id::WorkerId,
    observe::{liveness::Liveness, meters::SharedMeters, telemetry::Telemetry},
    ports::{Clock, Entropy},
    worker::{Report, Worker},
};

/// How long the connections to Postgres may take to say goodbye. One whose statement hangs (a sweep behind a lock) would
/// keep the process until the server's own time-out, long after everything is settled.
const GOODBYE: Duration = Duration::from_secs(2);

/// Where HTTP is answered.
pub struct Listeners {
    pub api: TcpListener,
    /// Of `/metrics`, where it has an address of its own.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    async fn bind(settings: &Settings) -> anyhow::Result<Listeners> {
        let bind = async |name: &str, address: SocketAddr| {
            let bound = TcpListener::bind(address).await;
            bound.with_context(|| format!("{name} {address} can't be listened on: choose another port"))
        };
        let api = bind("WARMUP_HTTP_ADDR", settings.http_addr).await?;
        let metrics = match settings.metrics_addr {
            Some(address) => Some(bind("WARMUP_METRICS_ADDR", address).await?),
            None => None,
        };
        Ok(Listeners { api, metrics })
    }
}

/// Runs a worker and what answers at its address until `stop` is cancelled, then ends in order: readiness off, intake
/// closed, what is on its way finished, leases given back, metrics pushed a last time, HTTP last. While it waits for servers that are away, it is alive
/// and not ready. `answer` is the HTTP: it lives a floor above.
pub async fn serve<F, Answering>(
    settings: &Settings,
    telemetry: &Telemetry,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    answer: F,
    stop: CancellationToken,
) -> anyhow::Result<Report>
where
    F: FnOnce(Listeners, Arc<Desk>, CancellationToken) -> Answering,
    Answering: Future<Output = ()> + Send + 'static,
{
    settings.require_all()?;
    let listeners = Listeners::bind(settings).await?;
    tracing::info!(address = %listeners.api.local_addr()?, "the API and the probes /healthz and /readyz are answered");
    let liveness = Arc::new(Liveness::default());
    let name = world::worker_name(settings);
    let desk = Desk::new(settings, name.clone(), Arc::clone(&clock), Arc::clone(&liveness))?;
    let meters = SharedMeters::clone(&desk.meters);
    let desk = Arc::new(desk);
    let (answering, pushing) = (CancellationToken::new(), CancellationToken::new());
    let push = telemetry.push.clone();
    let pushes = push.map(|push| tokio::spawn(pushing::keep_pushing(Arc::clone(&desk), push, pushing.clone())));
    let answers = tokio::spawn(answer(listeners, desk, answering.clone()));
    let report = work(settings, name, clock, entropy, (liveness, meters), stop).await;
    pushing.cancel();
    if let Some(pushes) = pushes {
        let _ = pushes.await;
    }
    answering.cancel();
    let _ = answers.await;
    report
}

async fn work(
    settings: &Settings,
    name: WorkerId,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    (liveness, meters): (Arc<Liveness>, SharedMeters),
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
    capacity::warn_at_start(&database, settings).await;
    let key = Sealer::new(settings.require_master_key()?.expose()).key_id();
    let watch = keywatch::watch(database.clone(), key, Arc::clone(&clock), settings.heartbeat, stop.clone());
    let watch = tokio::spawn(watch);
    let fleet = fleet::identity(&database).await.context("which fleet this is")?;
    let worker = world::worker_settings(settings, name, fleet);
    let sending = SendingThread::start().context("no thread to send on")?;
    let worker = Worker::new(metered(ports, &meters, settings.cron_interval), worker, liveness)
        .with_texts(texts)
        .with_lanes_on(sending.handle());
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
