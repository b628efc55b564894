//! Floor 3: HTTP. For now what an orchestrator asks: is the process alive, may it be relied on.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{observe::liveness::Liveness, ports::Clock};

#[derive(Clone)]
struct Probe {
    liveness: Arc<Liveness>,
    clock: Arc<dyn Clock>,
    fresh: Duration,
}

/// Answers `/healthz` (the process runs) and `/readyz` (Redis and Postgres answered a heartbeat within `fresh`, mails
/// are scheduled, and no stop is under way) until `stop`.
pub async fn probes(
    listener: TcpListener,
    liveness: Arc<Liveness>,
    clock: Arc<dyn Clock>,
    fresh: Duration,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(Probe { liveness, clock, fresh });
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "probes are not answered any more");
    }
}

async fn ready(State(probe): State<Probe>) -> (StatusCode, String) {
    match probe.liveness.unready(probe.clock.machine(), probe.fresh) {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}
