//! This module creates a span for each request, in the caller's trace (W3C Trace Context), after the semantic
//! conventions for HTTP.

use std::collections::HashMap;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::observe::{spans, telemetry::tracing_with};

/// Runs the request within a span; without tracing, runs it directly.
pub(super) async fn traced(request: Request, next: Next) -> Response {
    if tracing_with().is_none() {
        return next.run(request).await;
    }
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    let span = tracing::info_span!(
        target: spans::TARGET,
        "http.request",
        otel.name = format!("{} {route}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = field::Empty,
        otel.status_code = field::Empty,
    );
    // `set_parent` fails only if the request carries no trace.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&Carrier::of(&request).0));
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// The headers that carry the caller's trace.
struct Carrier(HashMap<String, String>);

impl Carrier {
    fn of(request: &Request) -> Carrier {
        let told = ["traceparent", "tracestate"].into_iter().filter_map(|name| {
            let value = request.headers().get(name)?.to_str().ok()?;
            Some((name.to_owned(), value.to_owned()))
        });
        Carrier(told.collect())
    }
}
