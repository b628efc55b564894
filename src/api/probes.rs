//! This module answers the probes of an orchestrator: liveness and readiness.

use axum::{extract::State, http::StatusCode};

use super::SharedState;

/// Reports that the process runs.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Reports readiness: Redis and Postgres answered a heartbeat within the lease TTL, mails are scheduled, and no
/// stop is under way.
pub(super) async fn ready(State(front): State<SharedState>) -> (StatusCode, String) {
    let desk = &front.desk;
    match desk.liveness.unready(desk.clock.machine(), desk.settings.lease_ttl) {
        None => (StatusCode::OK, ready_text(desk.liveness.kept_results())),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

/// Returns the text of a ready process. It mentions results that the database refuses: the process keeps them
/// and continues with all other mails.
fn ready_text(kept_results: usize) -> String {
    match kept_results {
        0 => "ready\n".to_owned(),
        1 => "ready; the database refuses 1 result: see the worker's log\n".to_owned(),
        many => format!("ready; the database refuses {many} results: see the worker's log\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_keeps_results_says_so() {
        assert_eq!(ready_text(0), "ready\n");
        assert_eq!(ready_text(2), "ready; the database refuses 2 results: see the worker's log\n");
    }
}
