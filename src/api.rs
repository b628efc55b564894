//! The HTTP API offers the use cases of `admin.rs` and `reporting.rs` over the network, beside the command line.
//!
//! ```text
//!   connection ─▶ server (headers, time and number bounded) ─▶ probes and the dashboard's files, no token
//!                                                           └▶ auth (token ─▶ Identity, guessing slowed) ─▶ handlers
//! ```
//!
//! Every answer comes from Postgres and Redis, so any pod answers for the whole fleet. A success is an `Envelope`, a
//! failure a `Problem`. The ingress terminates TLS. By default the API listens on the loopback interface only.

mod auth;
mod auth_throttle;
mod coalesce;
mod control;
mod dashboard;
mod day;
mod domains;
mod envelope;
mod events;
pub mod exposition;
mod extract;
mod listeners;
mod logs;
mod mailboxes;
mod me;
mod metrics;
mod openapi;
mod pagination;
mod pauses;
mod performance;
mod probes;
mod problem;
mod quota;
mod scrape;
mod server;
mod shares;
mod stream;
mod tokens;
mod trace;
mod users;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, Method, Uri, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use self::listeners::Listeners;
use self::{
    auth_throttle::AuthThrottle,
    coalesce::{Coalescer, Requests},
    problem::Problem,
    shares::Shares,
};
use crate::{
    admin::{services::Services, tokens::Identity},
    domain::token::TokenHash,
};

/// The largest body of a request, in bytes: more than any order needs. An import has its own limit.
const LARGEST_BODY: usize = 64 * 1024;
/// The longest time that a request may take. After it, the request ends with 503.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest time that an import may take. A file of 100,000 mailboxes is one transaction and needs minutes.
const PATIENCE_WITH_FILES: Duration = Duration::from_secs(600);

/// The number of mailbox tests that run at once. Each test holds a connection to a mail host for some seconds.
const CHECKUPS: usize = 8;
const CHECKUPS_FOR_ADMINS: usize = 2;
const CHECKUPS_OF_USER: usize = 2;

/// The number of metrics streams that are open at once. Each stream reads the whole day every few seconds. A
/// user has a page on a screen and another one or two.
const STREAMS: usize = 64;
const STREAMS_FOR_ADMINS: usize = 8;
const STREAMS_OF_USER: usize = 4;

/// The number of files that are received at once, each of up to 32 MB. The API imports one file at a time.
const IMPORTS: usize = 4;
const IMPORTS_FOR_ADMINS: usize = 1;
const IMPORTS_OF_USER: usize = 1;

/// The state that all handlers share.
struct ApiState {
    desk: Arc<Services>,
    throttle: AuthThrottle,
    /// Requests that wait for a common answer: equal reads, the identity of a token, and a scrape.
    together: Requests,
    identities: Coalescer<TokenHash, Result<Option<Identity>, Problem>>,
    scrapes: Coalescer<(), Arc<str>>,
    /// Mailbox tests that run at once.
    checkups: Shares,
    /// Open metrics streams.
    streams: Shares,
    /// Files that are received, and the lock under which one of them is imported.
    imports: Shares,
    importing: Mutex<()>,
}

type SharedState = Arc<ApiState>;

/// Answers requests until `stop` is cancelled, and refreshes the statistics snapshot.
pub async fn serve(listeners: Listeners, desk: Arc<Services>, stop: CancellationToken) {
    tokio::join!(answer(listeners, Arc::clone(&desk), stop.clone()), desk.census.keep(&*desk.clock, &stop));
}

async fn answer(listeners: Listeners, desk: Arc<Services>, stop: CancellationToken) {
    let clock = Arc::clone(&desk.clock);
    let front: SharedState = Arc::new(ApiState {
        desk,
        throttle: AuthThrottle::default(),
        together: Coalescer::default(),
        identities: Coalescer::default(),
        scrapes: Coalescer::default(),
        checkups: Shares::new(CHECKUPS, CHECKUPS_FOR_ADMINS, CHECKUPS_OF_USER),
        streams: Shares::new(STREAMS, STREAMS_FOR_ADMINS, STREAMS_OF_USER),
        imports: Shares::new(IMPORTS, IMPORTS_FOR_ADMINS, IMPORTS_OF_USER),
        importing: Mutex::new(()),
    });
    let scrapes = Router::new().route("/metrics", get(scrape::metrics)).with_state(Arc::clone(&front));
    match listeners.metrics {
        None => server::listen(listeners.api, scrapes.fallback_service(router(front)), clock, stop).await,
        Some(apart) => {
            let scraping = server::listen(apart, scrapes, Arc::clone(&clock), stop.clone());
            tokio::join!(server::listen(listeners.api, router(front), clock, stop), scraping);
        }
    }
}

/// Builds all routes of the API's address except `/metrics`.
fn router(front: SharedState) -> Router {
    let (api, document) = openapi::routes().split_for_parts();
    let api = api
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(Arc::clone(&front), marked))
        .layer(middleware::from_fn_with_state(Arc::clone(&front), coalesce::together))
        .layer(middleware::from_fn_with_state(Arc::clone(&front), auth::authenticate))
        .layer(middleware::from_fn(bounded))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(trace::traced));
    let document = openapi::json(document);
    Router::new()
        .route("/healthz", get(probes::alive))
        .route("/readyz", get(probes::ready))
        .route("/openapi.json", get(async || ([(header::CONTENT_TYPE, "application/json")], document)))
        .merge(dashboard::routes())
        .fallback_service(api.with_state(Arc::clone(&front)))
        .with_state(front)
}

async fn unknown(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}: /openapi.json lists what there is", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not take {method}: the Allow header says what it takes", uri.path());
    Problem::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// Invalidates the statistics snapshot after a successful change, so that the caller's next read shows the
/// change.
async fn marked(State(front): State<SharedState>, request: Request, next: Next) -> Response {
    let changes = request.method() != Method::GET;
    let response = next.run(request).await;
    if changes && response.status().is_success() {
        front.desk.census.invalidate().await;
    }
    response
}

/// Limits the time of a request, and forbids caching and content sniffing of the answer.
async fn bounded(request: Request, next: Next) -> Response {
    let is_file = request.uri().path() == mailboxes::enrol::IMPORT;
    let patience = if is_file { PATIENCE_WITH_FILES } else { PATIENCE };
    let mut response = match tokio::time::timeout(patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("it took longer than {} s: ask again, or for less at once", patience.as_secs());
            axum::response::IntoResponse::into_response(Problem::unavailable(detail))
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
