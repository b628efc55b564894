//! `Push` sends the metrics of a scrape to a collector over OTLP at an interval.
//!
//! There is one registry, that of `/metrics`, and its text is the source of each push (`points.rs`). So both
//! ways report equal numbers: histograms with their exact buckets, and totals since the start of the process.
//! The SDK's own meters would count everything a second time, because they do not accept a histogram that was
//! counted elsewhere.
//!
//! A push delays nothing: it runs beside the worker and gives up after its timeout. It holds a lock that a
//! mail takes only as long as copying a number.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::time;
use opentelemetry_proto::{
    tonic::{
        collector::metrics::v1::ExportMetricsServiceRequest,
        common::v1::InstrumentationScope,
        metrics::v1::{ResourceMetrics, ScopeMetrics},
        resource::v1::Resource,
    },
    transform::common::tonic::ResourceAttributesWithSchema,
};

use super::{
    TelemetryError,
    env::{OtelEnv, Signal},
    failure_log::FailureLog,
    fault,
    otlp_client::{OtlpClient, milliseconds},
    points::{Times, gone, points},
};
use crate::observe::{fleet, spans};

/// The default interval, as OpenTelemetry defines it.
const EVERY: Duration = Duration::from_secs(60);

/// The exporter of the metrics of a process.
#[derive(Debug)]
pub struct Push {
    courier: OtlpClient,
    resource: Resource,
    started: SystemTime,
    /// The interval between two pushes.
    pub every: Duration,
    complaint: FailureLog,
}

impl Push {
    /// Creates the exporter that `vars` configure, or `None` if metrics are not pushed. Call it within the
    /// runtime, when counting begins.
    pub(super) fn of(
        vars: &BTreeMap<String, String>,
        resource: &opentelemetry_sdk::Resource,
    ) -> Result<Option<Push>, TelemetryError> {
        let asked = OtelEnv::of(vars, Signal::Metrics);
        let Some(protocol) = asked.protocol()? else { return Ok(None) };
        let preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        if let Some(other) = asked.read(preference).filter(|value| !value.eq_ignore_ascii_case("cumulative")) {
            return Err(fault(preference, other, "this program tells totals: cumulative"));
        }
        let time = |name: &str| asked.read(name).map(|value| milliseconds(name.to_owned(), value)).transpose();
        let mut courier = OtlpClient::of(&asked, protocol)?;
        if let Some(longest) = time("OTEL_METRIC_EXPORT_TIMEOUT")? {
            courier.within = courier.within.min(longest);
        }
        let attributes = ResourceAttributesWithSchema::from(resource).attributes.0;
        Ok(Some(Push {
            courier,
            resource: Resource { attributes, ..Resource::default() },
            started: time::now(),
            every: time("OTEL_METRIC_EXPORT_INTERVAL")?.unwrap_or(EVERY),
            complaint: FailureLog::of("metrics"),
        }))
    }

    /// Pushes the metrics of a scrape, `text`. With `fleet_ended` it also declares that this process reports
    /// the fleet's gauges no longer, so that no dashboard shows the last values.
    pub async fn push(&self, text: &str, fleet_ended: bool) {
        let times = Times { start: nanos(self.started), now: nanos(time::now()) };
        let mut metrics = points(text, times);
        if fleet_ended {
            metrics.extend(gone(fleet::metric_docs(), times));
        }
        if metrics.is_empty() {
            return;
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let scope = InstrumentationScope { name: spans::SCOPE.to_owned(), version, ..InstrumentationScope::default() };
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        self.complaint.note(&self.courier.deliver(ExportMetricsServiceRequest { resource_metrics }).await);
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");

    fn push(vars: &[(&str, &str)]) -> Result<Option<Push>, String> {
        // The test installs the TLS provider as `main` does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Push::of(&vars, &opentelemetry_sdk::Resource::builder_empty().build()).map_err(|fault| fault.to_string())
    }

    #[tokio::test]
    async fn nothing_is_pushed_without_an_endpoint_or_when_it_is_switched_off() {
        for vars in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318/v1/traces")],
            &[HERE, ("OTEL_METRICS_EXPORTER", "none")],
            &[HERE, ("OTEL_SDK_DISABLED", "true")],
        ] {
            assert!(push(vars).unwrap().is_none(), "{vars:?}");
        }
        assert!(push(&[HERE, ("OTEL_TRACES_EXPORTER", "none")]).unwrap().is_some());
    }

    #[tokio::test]
    async fn interval_and_time_out_are_in_milliseconds_and_the_shorter_time_out_holds() {
        let push = |vars: &[(&str, &str)]| push(&[&[HERE], vars].concat()).unwrap().unwrap();
        let usual = push(&[]);
        assert_eq!((usual.every, usual.courier.within), (Duration::from_secs(60), Duration::from_secs(10)));
        let given = push(&[("OTEL_METRIC_EXPORT_INTERVAL", "500"), ("OTEL_METRIC_EXPORT_TIMEOUT", "300")]);
        assert_eq!((given.every, given.courier.within), (Duration::from_millis(500), Duration::from_millis(300)));
        assert_eq!(push(&[("OTEL_METRIC_EXPORT_TIMEOUT", "30000")]).courier.within, Duration::from_secs(10));
    }

    #[tokio::test]
    async fn what_can_t_be_followed_is_said() {
        for (name, value) in [
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ] {
            let said = push(&[HERE, (name, value)]).unwrap_err();
            assert!(said.starts_with(&format!("{name}={value}: ")), "{said}");
        }
    }
}
