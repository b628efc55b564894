//! `serve` runs one process, the worker with its API and background tasks, until the process must stop.
//!
//! ```text
//!   listen ─▶ API and probes ─▶ wait for Postgres and Redis ─▶ worker
//!   stop: readiness off ─▶ intake closed ─▶ mails in progress end ─▶ leases released ─▶ last metrics ─▶ HTTP closed
//! ```
//!
//! The process also stops by itself when its credentials are refused for too long (`credentials.rs`) or its
//! master key was rotated away (`key_rotation_watch.rs`).

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use super::{instrumented::metered, key_rotation_watch::KeyWatch, metrics_push, send_runtime::SendRuntime, wiring};
use crate::{
    adapters::{
        postgres::{fleet, pool},
        seal::Sealer,
    },
    admin::{services::Services, templates},
    api::{self, Listeners},
    app::credentials,
    config::Settings,
    domain::id::WorkerId,
    observe::{liveness::Liveness, meters::SharedMeters, telemetry::Telemetry},
    ports::{Clock, Entropy},
    reporting::capacity::CapacityWatch,
    worker::{DrainReport, Worker},
};

/// The longest time that the connections to Postgres may take to close. A hanging statement (a sweep behind a
/// lock) would hold the process until the server's own time-out, long after everything is settled.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs a worker and its API until `stop` is cancelled, then ends in order, HTTP last.
///
/// While it waits for unavailable servers, the process is alive and not ready. Calls `announce` with the
/// listeners before the first request is answered.
pub async fn serve(
    settings: &Settings,
    telemetry: &Telemetry,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    announce: impl FnOnce(&Listeners),
    stop: CancellationToken,
) -> anyhow::Result<DrainReport> {
    serve_for(settings, telemetry, clock, entropy, announce, credentials::PATIENCE, stop).await
}

/// Runs like [`serve`] with another `patience`: the time of refused credentials after which the worker stops
/// itself.
pub async fn serve_for(
    settings: &Settings,
    telemetry: &Telemetry,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    announce: impl FnOnce(&Listeners),
    patience: Duration,
    stop: CancellationToken,
) -> anyhow::Result<DrainReport> {
    settings.require_all()?;
    let listeners = Listeners::bind(settings).await?;
    tracing::info!(address = %listeners.api.local_addr()?, "the API and the probes /healthz and /readyz are answered");
    let liveness = Arc::new(Liveness::default());
    let name = wiring::worker_name(settings);
    let desk = Services::new(settings, name.clone(), Arc::clone(&clock), Arc::clone(&liveness))?;
    let meters = SharedMeters::clone(&desk.meters);
    let (sealer, database) = (Arc::clone(&desk.sealer), desk.database.clone());
    let desk = Arc::new(desk);
    let (answering, pushing) = (CancellationToken::new(), CancellationToken::new());
    let url = settings.database()?;
    let renew = pool::renew_requests;
    tokio::spawn(credentials::keep_fresh(database, url, renew, Arc::clone(&clock), answering.clone()));
    let push = telemetry.push.clone();
    let pushes = push.map(|push| tokio::spawn(metrics_push::keep_pushing(Arc::clone(&desk), push, pushing.clone())));
    announce(&listeners);
    let answers = tokio::spawn(api::serve(listeners, desk, answering.clone()));
    let report = work(settings, name, clock, entropy, (liveness, meters, sealer), patience, stop).await;
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
    (liveness, meters, sealer): (Arc<Liveness>, SharedMeters, Arc<Sealer>),
    patience: Duration,
    stop: CancellationToken,
) -> anyhow::Result<DrainReport> {
    // A stop by this function must not stop anything else of the caller.
    let stop = stop.child_token();
    let ports =
        stop.run_until_cancelled(wiring::ports(settings, Arc::clone(&clock), entropy, Arc::clone(&sealer))).await;
    let Some(ports) = ports else {
        tracing::info!("stopped before the worker had started");
        return Ok(DrainReport::default());
    };
    let (ports, database) = ports?;
    let texts = templates::texts(settings, &database).await?;
    let mut capacity = CapacityWatch::default();
    capacity.look(&database, settings).await;
    tokio::spawn(capacity.run(database.clone(), settings.clone(), Arc::clone(&clock), stop.clone()));
    let in_file = settings.clone();
    let watch = KeyWatch { pool: database.clone(), sealer, in_file: move || in_file.master_key_in_file() };
    let watch = tokio::spawn(watch.run(Arc::clone(&clock), settings.heartbeat, stop.clone()));
    let refusals = tokio::spawn(credentials::watch(Arc::clone(&liveness), Arc::clone(&clock), patience, stop.clone()));
    let (url, renew) = (settings.database()?, pool::renew_worker);
    tokio::spawn(credentials::keep_fresh(database.clone(), url, renew, Arc::clone(&clock), stop.clone()));
    let fleet = fleet::identity(&database).await.context("which fleet this is")?;
    let named = name.clone();
    let worker = wiring::worker_settings(settings, name, fleet);
    let sending = SendRuntime::start().context("no thread to send on")?;
    let worker = Worker::new(metered(ports, &meters, &liveness, settings.cron_interval), worker, Arc::clone(&liveness))
        .with_texts(texts)
        .with_lanes_on(sending.handle());
    let report = worker.run(stop.clone()).await;
    // If the worker ended by itself, its watches must end too.
    stop.cancel();
    let rotated = watch.await.unwrap_or(false);
    let refused = refusals.await.unwrap_or(None);
    if let Some(server) = refused {
        credentials::record_stop(&database, &named, server, clock.now()).await;
    }
    tokio::select! {
        biased;
        () = database.close() => {}
        () = clock.sleep(GOODBYE) => tracing::warn!("a statement is still running on Postgres: not waiting for it"),
    }
    let report = report?;
    if rotated {
        bail!("WARMUP_MASTER_KEY was rotated away: start with the new key");
    }
    if let Some(server) = refused {
        bail!(credentials::last_words(server, patience));
    }
    Ok(report)
}
