//! What an orchestrator asks: is the process alive, may it be relied on.

use axum::{extract::State, http::StatusCode};

use super::Shared;

/// The process runs.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Redis and Postgres answered a heartbeat within the lease's time, mails are scheduled, and no stop is under way.
pub(super) async fn ready(State(front): State<Shared>) -> (StatusCode, String) {
    let desk = &front.desk;
    match desk.liveness.unready(desk.clock.machine(), desk.settings.lease_ttl) {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}
