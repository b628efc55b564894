//! `Telemetry` exports traces and metrics over OTLP, configured by the standard variables of OpenTelemetry
//! (`OTEL_*` and `OTEL_EXPORTER_OTLP_*`). It is off unless an endpoint is set. `push.rs` exports the metrics.
//!
//! Spans go to a queue of the SDK, which another thread empties and which drops spans that do not fit. So a
//! slow or unreachable collector delays no mail. These spans are sampled:
//!
//! - every tick, and every mail that failed or is uncertain,
//! - one in a hundred of the other mails and of the HTTP requests (`OTEL_TRACES_SAMPLER` sets another share),
//! - the reply to a sampled mail,
//! - every batch with a sampled mail (`mail_spans.rs`).

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

/// The longest time for exporting the rest at the end of the process.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

static TRACING: OnceLock<Tracing> = OnceLock::new();

/// The tracer and the sampler of this process.
#[derive(Clone, Debug)]
pub struct Tracing {
    pub tracer: SdkTracer,
    pub keep: Sampler,
}

/// The exporters of a process. Call `end`, or the queued spans are lost.
#[derive(Debug, Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    /// The exporter of the metrics, if they are pushed.
    pub push: Option<Arc<Push>>,
}

/// An invalid variable, or a failed start of the exporter.
#[derive(Debug, Error)]
pub enum TelemetryError {
    #[error("{name}={value}: {wanted}")]
    Variable { name: String, value: String, wanted: &'static str },
    #[error("nothing can be exported: {0}; check OTEL_EXPORTER_OTLP_ENDPOINT and what belongs to it")]
    Exporter(String),
}

/// The configuration of traces, read from the environment.
#[derive(Debug, PartialEq)]
struct Wanted {
    protocol: Protocol,
    keep: Sampler,
}

impl Telemetry {
    /// Starts the export if the environment `vars` names an endpoint; `instance` names this process. Call it
    /// once, within the runtime.
    ///
    /// Returns an error if a variable is invalid. It does not check that the collector is reachable.
    pub fn start(vars: &BTreeMap<String, String>, instance: &str) -> Result<Telemetry, TelemetryError> {
        let resource = resource(vars, instance);
        let push = Push::of(vars, &resource)?.map(Arc::new);
        let provider = Wanted::of(vars)?.map(|wanted| wanted.provider(resource)).transpose()?;
        Ok(Telemetry { provider, push })
    }

    /// Returns an error if a variable of the environment is invalid.
    pub fn check(vars: &BTreeMap<String, String>) -> Result<(), TelemetryError> {
        Wanted::of(vars)?;
        Push::of(vars, &Resource::builder_empty().build()).map(drop)
    }

    /// Exports the queued spans, for three seconds at most.
    pub async fn end(self) {
        let Some(provider) = self.provider else { return };
        // The shutdown blocks, and the exporter needs the runtime meanwhile.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
        match ended.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not exported"),
            Err(error) => tracing::warn!(%error, "the exporter ended badly"),
        }
    }
}

/// Returns the tracer of this process, or `None` without tracing.
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

    /// Starts the exporter of spans and enables their creation.
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

/// Describes this process; names in OpenTelemetry's own variables take precedence over ours.
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
