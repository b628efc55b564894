//! The route `/api/warmup/stream` streams the metrics of the day as server-sent events, whenever they change.
//!
//! Clients read the stream by `fetch` with the `Authorization` header, so a token never appears in a URL. The
//! stream ends when its token becomes invalid.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use chrono::SecondsFormat;
use futures_util::stream::{self, Stream};

use super::{SharedState, auth::Caller, problem::Problem, shares::Place};
use crate::{admin::tokens::identify, reporting::metrics};

/// The time between two reads; a shorter one makes no visible difference.
const EVERY: Duration = Duration::from_secs(2);
/// The time between two keep-alive comments, so that proxies do not close the connection.
const SILENCE: Duration = Duration::from_secs(15);

/// A `MetricsStream` is an open stream with its caller and its last event.
struct MetricsStream {
    state: SharedState,
    caller: Caller,
    last: Option<String>,
    _room: Place,
}

/// Streams the metrics of the day whenever they change: events `metrics`, with the data of /api/warmup/metrics,
/// or `problem` if they can't be read. The id of an event is its time.
#[utoipa::path(get, path = "/stream", tag = "fleet",
    responses((status = 200, description = "Events, until the token holds no more", body = String,
        content_type = "text/event-stream")))]
pub(super) async fn follow(
    State(state): State<SharedState>,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Some(room) = state.streams.take(&caller.identity) else {
        let detail = "too many are following already: ask /api/warmup/metrics, or follow later";
        return Err(Problem::unavailable(detail).with_retry_after(30));
    };
    let told = MetricsStream { state, caller, last: None, _room: room };
    Ok(Sse::new(stream::unfold(told, next)).keep_alive(KeepAlive::new().interval(SILENCE)))
}

async fn next(mut told: MetricsStream) -> Option<(Result<Event, Infallible>, MetricsStream)> {
    loop {
        if told.last.is_some() {
            told.state.desk.clock.sleep(EVERY).await;
            if !told.holds().await {
                return None;
            }
        }
        let (kind, data) = told.read().await;
        if told.last.as_ref() != Some(&data) {
            told.last = Some(data.clone());
            // The id is the time of the data by the day clock.
            let now = told.state.desk.clock.now().to_rfc3339_opts(SecondsFormat::Millis, true);
            return Some((Ok(Event::default().id(now).event(kind).data(data)), told));
        }
    }
}

impl MetricsStream {
    async fn read(&self) -> (&'static str, String) {
        let desk = &self.state.desk;
        let read = metrics(desk.sources(), self.caller.identity.scope(), desk.clock.now()).await;
        match read.map_err(Problem::from) {
            Ok(metrics) => ("metrics", serde_json::to_string(&metrics).unwrap_or_default()),
            Err(problem) => ("problem", serde_json::to_string(&problem).unwrap_or_default()),
        }
    }

    /// Returns whether the token still has the same identity. An unavailable database does not end the stream.
    async fn holds(&self) -> bool {
        let (desk, token) = (&self.state.desk, &self.caller.token);
        let admin = desk.admin_token.current(desk.clock.machine());
        match identify(&desk.database, admin.as_ref(), token, desk.clock.now()).await {
            Ok(identity) => identity.as_ref() == Some(&self.caller.identity),
            Err(_) => true,
        }
    }
}
