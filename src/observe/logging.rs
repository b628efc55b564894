//! This module writes the logs to stderr, as text for people (in colour on a terminal) or as JSON for
//! machines. `RUST_LOG` filters them (default `info`). With exported traces the logged events go into the
//! traces too, and a JSON line names its span.

mod json;

use std::{
    fs::File,
    io::{self, IsTerminal},
    path::Path,
    sync::Mutex,
};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::Targets,
    fmt::{self, format},
    layer::SubscriberExt,
    registry::{LookupSpan, Registry},
    util::SubscriberInitExt,
};

use super::{spans, telemetry::tracing_with};

/// Starts logging, after the telemetry is started. A second call in one process is ignored.
pub fn start(json: bool) {
    let layer = fmt::layer().with_writer(io::stderr);
    if json {
        let format = format().json().with_current_span(false).with_span_list(false);
        begin(layer.json().event_format(json::Traced(format)).with_filter(filter()).boxed());
    } else {
        // Colour codes would make a file or a journal less readable.
        let layer = if io::stderr().is_terminal() { layer } else { layer.with_ansi(false) };
        begin(layer.with_target(false).with_filter(without_spans()).boxed());
    }
}

/// Starts logging into a file, for commands that need the terminal for something else.
pub fn start_in_file(path: &Path) -> io::Result<()> {
    let file = Mutex::new(File::create(path)?);
    let layer = fmt::layer().with_ansi(false).with_target(false).with_writer(file);
    begin(layer.with_filter(without_spans()).boxed());
    Ok(())
}

fn begin(layer: Box<dyn Layer<Registry> + Send + Sync>) {
    if let Err(error) = tracing_subscriber::registry().with(layer).with(traces()).try_init() {
        tracing::debug!(%error, "logging was started before");
    }
}

/// Returns the layer that turns events into spans. `mail_spans.rs` creates the spans of mails separately.
fn traces<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>() -> Option<impl Layer<S>> {
    tracing_with().map(|tracing| {
        tracing_opentelemetry::layer()
            .with_tracer(tracing.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(spans::TARGET, LevelFilter::INFO))
    })
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new("info,sqlx=warn,opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off")
    })
}

/// Returns the filter for text: a line for people omits its spans.
fn without_spans() -> EnvFilter {
    filter().add_directive(format!("{}=off", spans::TARGET).parse().expect("a target and a level are a directive"))
}
