//! Traces and metrics over OTLP, as the standard variables of OpenTelemetry say (`OTEL_*`, and `OTEL_EXPORTER_OTLP_*` of the
//! exporter): off unless an endpoint is set. Metrics are in `push.rs`.
//!
//! Spans are handed to a queue of the SDK's, which another thread empties and which drops what does not fit: a collector
//! that is slow or away slows no mail down. What is kept:
//!
//! - every tick, and every mail that failed or is uncertain,
//! - one in a hundred of the other mails and of the HTTP requests, or as `OTEL_TRACES_SAMPLER` says, and the answer to a
//!   mail that was kept,
//! - of the batches those of which a mail was kept (`trails.rs`).

mod env;
mod failure_log;
mod logged_exporter;
mod otlp_client;
mod points;
mod push;
mod sampler;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use opentelemetry::{InstrumentationScope, KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use thiserror::Error;

use self::{
    env::{OtelEnv, Protocol, Signal},
    logged_exporter::LoggedExporter,
};
pub use self::{push::Push, sampler::Sampler};
use super::spans;

/// What is left to say is said within this time at the end, or not at all.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

static TRACING: OnceLock<Tracing> = OnceLock::new();

/// What spans are made with.
#[derive(Clone, Debug)]
pub struct Tracing {
    pub tracer: SdkTracer,
    pub keep: Sampler,
}

/// What a process exports. `end` it, or what is in the queue of its traces is lost.
#[derive(Debug, Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    /// What its metrics are pushed by, where they are.
    pub push: Option<Arc<Push>>,
}

/// A variable that can't be followed.
#[derive(Debug, Error)]
pub enum TelemetryError {
    #[error("{name}={value}: {wanted}")]
    Variable { name: String, value: String, wanted: &'static str },
    #[error("nothing can be exported: {0}; check OTEL_EXPORTER_OTLP_ENDPOINT and what belongs to it")]
    Exporter(String),
}

/// What is asked of traces, read from the environment.
#[derive(Debug, PartialEq)]
struct Wanted {
    protocol: Protocol,
    keep: Sampler,
}

impl Telemetry {
    /// Starts exporting where `vars`, the environment, name an endpoint, in the name of `instance`. To be called once, within
    /// the runtime.
    ///
    /// Returns a fault when a variable can't be followed; whether the collector is there is not looked at.
    pub fn start(vars: &BTreeMap<String, String>, instance: &str) -> Result<Telemetry, TelemetryError> {
        let resource = resource(vars, instance);
        let push = Push::of(vars, &resource)?.map(Arc::new);
        let provider = Wanted::of(vars)?.map(|wanted| wanted.provider(resource)).transpose()?;
        Ok(Telemetry { provider, push })
    }

    /// Says what the environment asks for that can't be followed.
    pub fn check(vars: &BTreeMap<String, String>) -> Result<(), TelemetryError> {
        Wanted::of(vars)?;
        Push::of(vars, &Resource::builder_empty().build()).map(drop)
    }

    /// Sends what is left, for three seconds at most.
    pub async fn end(self) {
        let Some(provider) = self.provider else { return };
        // It blocks, and the exporter needs the runtime meanwhile.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
        match ended.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not exported"),
            Err(error) => tracing::warn!(%error, "the exporter ended badly"),
        }
    }
}

/// What spans are made with; `None` where nobody traces.
pub fn tracing_with() -> Option<&'static Tracing> {
    TRACING.get()
}

impl Wanted {
    fn of(vars: &BTreeMap<String, String>) -> Result<Option<Wanted>, TelemetryError> {
        let asked = OtelEnv::of(vars, Signal::Traces);
        let Some(protocol) = asked.protocol()? else { return Ok(None) };
        let keep = Sampler::of(asked.read("OTEL_TRACES_SAMPLER"), asked.read("OTEL_TRACES_SAMPLER_ARG"))?;
        Ok(keep.map(|keep| Wanted { protocol, keep }))
    }

    /// Starts what exports spans, and lets them be made.
    fn provider(self, resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
        let exporter = match self.protocol {
            Protocol::Grpc => SpanExporter::builder().with_tonic().build(),
            Protocol::HttpProtobuf => {
                SpanExporter::builder().with_http().with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build()
            }
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(LoggedExporter::of(
                exporter.map_err(|error| TelemetryError::Exporter(error.to_string()))?,
            ))
            .with_sampler(self.keep)
            .with_resource(resource)
            .build();
        let scope = InstrumentationScope::builder(spans::SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let _ = TRACING.set(Tracing { tracer: provider.tracer_with_scope(scope), keep: self.keep });
        Ok(provider)
    }
}

fn fault(name: impl Into<String>, value: &str, wanted: &'static str) -> TelemetryError {
    TelemetryError::Variable { name: name.into(), value: value.to_owned(), wanted }
}

/// The names of OpenTelemetry's own variables go before ours.
fn resource(vars: &BTreeMap<String, String>, instance: &str) -> Resource {
    let named = vars.get("OTEL_SERVICE_NAME").is_some_and(|name| !name.is_empty())
        || vars.get("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| attributes.contains("service.name="));
    let ours = [
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance.to_owned()),
    ];
    let builder = Resource::builder().with_attributes(ours);
    if named { builder.build() } else { builder.with_attribute(KeyValue::new("service.name", "warmup")).build() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(vars: &[(&str, &str)]) -> Result<Option<Wanted>, String> {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Wanted::of(&vars).map_err(|fault| fault.to_string())
    }

    const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");

    #[test]
    fn nothing_is_exported_without_an_endpoint_or_when_it_is_switched_off() {
        let off =
            [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_TRACES_SAMPLER", "always_off")];
        assert_eq!(wanted(&[]), Ok(None));
        assert_eq!(wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
        for off in off {
            assert_eq!(wanted(&[HERE, off]), Ok(None), "{off:?}");
        }
    }

    #[test]
    fn the_protocol_of_traces_goes_before_that_of_all() {
        let protocol = |vars: &[(&str, &str)]| wanted(&[&[HERE], vars].concat()).unwrap().unwrap().protocol;
        let (all, traces) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL");
        assert_eq!(protocol(&[]), Protocol::HttpProtobuf);
        assert_eq!(protocol(&[(all, "grpc")]), Protocol::Grpc);
        assert_eq!(protocol(&[(all, "grpc"), (traces, "http/protobuf")]), Protocol::HttpProtobuf);
    }

    #[test]
    fn what_can_t_be_followed_is_said() {
        let said = |var: (&str, &str)| wanted(&[HERE, var]).unwrap_err();
        assert!(said(("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")).contains("grpc and http/protobuf"));
        assert!(said(("OTEL_TRACES_EXPORTER", "zipkin")).starts_with("OTEL_TRACES_EXPORTER=zipkin"));
        assert!(said(("OTEL_TRACES_SAMPLER", "jaeger_remote")).contains("traceidratio"));
    }
}
