//! This module serves the dashboard at `/` as plain files from the binary, without a build step or external
//! sources.
//!
//! The files hold no secret and need no token. Their data comes from /api with the viewer's token. The content
//! security policy is the second protection: a name that got into the page as markup could neither run nor call
//! another server.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

macro_rules! files {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("dashboard/", $name)))),*] };
}

const PAGE: &str = include_str!("dashboard/index.html");

/// The files that the page loads from /assets.
const ASSETS: &[(&str, &str)] = &files![
    "app.mjs",
    "batches.mjs",
    "chart.mjs",
    "client.mjs",
    "control.mjs",
    "dialog.mjs",
    "dom.mjs",
    "events.mjs",
    "follow.mjs",
    "format.mjs",
    "icon.svg",
    "login.mjs",
    "mailbox.mjs",
    "mailboxes.mjs",
    "paced.mjs",
    "rest.mjs",
    "scale.mjs",
    "sse.mjs",
    "style.css",
    "summary.mjs",
    "token.mjs",
    "walk.mjs",
    "warnings.mjs",
    "workers.mjs",
];

/// The content security policy: only our own files and our own API; no inline script or style, no frame, no form
/// target.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The headers of each file. A browser revalidates its copy at each use, so it sees a new release at once.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// Returns the routes of the page and its files.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = Router::new().route("/", file("index.html", PAGE));
    ASSETS.iter().fold(page, |routes, (name, text)| routes.route(&format!("/assets/{name}"), file(name, text)))
}

fn file<S: Clone + Send + Sync + 'static>(name: &'static str, text: &'static str) -> axum::routing::MethodRouter<S> {
    let (kind, tag) = (kind(name), tag(text));
    get(move |asked: HeaderMap| {
        let answer = answer(&asked, kind, &tag, text);
        async { answer }
    })
}

fn answer(asked: &HeaderMap, kind: &'static str, tag: &HeaderValue, text: &'static str) -> Response {
    let mut response = match is_known(asked, tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, kind)], text).into_response(),
    };
    response.headers_mut().extend(HEADERS);
    response.headers_mut().insert(header::ETAG, tag.clone());
    response
}

/// Returns whether the client has this version of the file already.
fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let given = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).any(|known| known.trim().trim_start_matches("W/").as_bytes() == tag)
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    }
}

fn tag(text: &str) -> HeaderValue {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{hex}\"")).expect("hex in quotes is a header's value")
}
